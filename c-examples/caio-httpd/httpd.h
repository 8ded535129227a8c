/* caio-httpd: serves the files of a directory over HTTP/1.1, in one epoll loop. */
#ifndef HTTPD_H
#define HTTPD_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <caio.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

enum { REQUEST_MOST = 8192, PATH_MOST = 4096, FIRST_READ = 64 * 1024 };

/* A parsed request. The strings are in the connection's buffer, and NULL if the header is missing. */
struct request {
    bool head, keep_alive;
    const char *range, *if_range, *if_none_match, *if_modified_since;
    char path[PATH_MOST]; /* decoded, relative to the directory that is served */
    bool is_directory;    /* the path ended with a slash */
};

/* What to send. */
struct response {
    int status;
    int64_t start, end; /* of the file */
    char head[2048];
    size_t head_length;
};

/* Parses a request of `length` bytes, and changes them. Returns 0 or the status of an error. */
int parse_request(char *text, size_t length, struct request *request);

/* Fills the response for a regular file. */
void respond_with_file(struct response *response, const struct request *request, const struct statx *file);
/* The same for an error or a redirection. */
void respond_with_status(struct response *response, const struct request *request, int status);
/* The status for a negative errno of an open. */
int status_of_error(int64_t error);

#endif
