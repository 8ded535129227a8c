/* caio-httpd: serves the files of a directory over HTTP/1.1, in one epoll loop. */
#ifndef HTTPD_H
#define HTTPD_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <caio.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { REQUEST_MOST = 8192, HEAD_MOST = REQUEST_MOST + 1024 };
enum field { CONNECTION, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE, FIELDS };

/* A parsed request. The strings are in the connection's buffer. */
struct request {
    bool head, keep_alive, is_directory; /* the path ended with a slash */
    const char *target, *field[FIELDS];  /* the target has no query; NULL if the field is missing */
    char path[REQUEST_MOST + sizeof "index.html"];
};

struct part {
    int64_t start, end; /* of a file */
};

/* Parses the head of a request, and changes it. Returns 0 or the status of an error. */
int parse_request(char *text, size_t length, struct request *request);
/* The status for a negative errno of an open. */
int status_of_error(int64_t error);
/* Writes the head of a response, and sets what follows of the file. Status 200 stands for any that a regular file may have. */
size_t write_head(char head[HEAD_MOST], const struct request *request, int status, const struct statx *file, struct part *part);

#endif
