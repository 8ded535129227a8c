/* HTTP without I/O: parses requests, and writes the heads of responses (RFC 9110, RFC 9112). */
#include "httpd.h"
#include <ctype.h>
#include <strings.h>

static const char *const field_names[FIELDS] = {"Connection", "If-Modified-Since", "If-None-Match", "If-Range", "Range"};
static const char *const reasons[] = {
    [200] = "OK", [206] = "Partial Content", [301] = "Moved Permanently", [304] = "Not Modified", [400] = "Bad Request",
    [403] = "Forbidden", [404] = "Not Found", [405] = "Method Not Allowed", [416] = "Range Not Satisfiable",
    [431] = "Request Header Fields Too Large", [500] = "Internal Server Error",
};
static const char *const types[][2] = {
    {".css", "text/css"}, {".gif", "image/gif"}, {".html", "text/html; charset=utf-8"}, {".jpg", "image/jpeg"},
    {".js", "text/javascript"}, {".json", "application/json"}, {".pdf", "application/pdf"}, {".png", "image/png"},
    {".svg", "image/svg+xml"}, {".txt", "text/plain; charset=utf-8"}, {".wasm", "application/wasm"}, {".webp", "image/webp"},
};
static const char date_format[] = "%a, %d %b %Y %H:%M:%S GMT";

/* False if the path is malformed, or has a "..". */
static bool decode_path(const char *in, struct request *request)
{
    char *out = request->path;
    for (; *in != '\0'; in++) {
        *out = *in;
        if (*in == '%') {
            if (!isxdigit((unsigned char)in[1]) || !isxdigit((unsigned char)in[2]))
                return false;
            *out = (char)strtol((char[]){in[1], in[2], '\0'}, NULL, 16);
            in += 2;
        }
        if ((unsigned char)*out++ < ' ')
            return false;
    }
    strcpy(out, "/");
    if (strstr(request->path, "/../") != NULL)
        return false;
    request->is_directory = out[-1] == '/';
    strcpy(out, request->is_directory ? "index.html" : "");
    return true;
}

int parse_request(char *text, size_t length, struct request *request)
{
    char *rest, *line;
    bool body = false;
    if (memchr(text, '\0', length) != NULL)
        return 400;
    text[length - 2] = '\0'; /* before the empty line */
    const char *method = strtok_r(text, " ", &rest);
    char *target = strtok_r(NULL, " ", &rest), *version = strtok_r(NULL, "\r\n", &rest);
    if (version == NULL || strncmp(version, "HTTP/1.", 7) != 0 || *target != '/')
        return 400;
    memset(request->field, 0, sizeof request->field);
    while ((line = strtok_r(NULL, "\r\n", &rest)) != NULL) {
        char *value = line + strcspn(line, ": \t");
        if (*value != ':')
            return 400;
        *value++ = '\0';
        value += strspn(value, " \t");
        for (int i = 0; i < FIELDS; i++)
            if (strcasecmp(line, field_names[i]) == 0)
                request->field[i] = value;
        body |= strcasecmp(line, "Transfer-Encoding") == 0;
        body |= strcasecmp(line, "Content-Length") == 0 && strcmp(value, "0") != 0;
    }
    const char *connection = request->field[CONNECTION] == NULL ? "" : request->field[CONNECTION];
    bool keep = strcmp(version, "HTTP/1.0") != 0 || strcasestr(connection, "keep-alive") != NULL;
    request->keep_alive = keep && strcasestr(connection, "close") == NULL && !body; /* a body is not read */
    request->head = strcmp(method, "HEAD") == 0;
    if (!request->head && strcmp(method, "GET") != 0)
        return 405;
    target[strcspn(target, "?#")] = '\0';
    request->target = target + strspn(target, "/") - 1; /* a redirection to //name would be one to another server */
    return decode_path(target, request) ? 0 : 400;
}

int status_of_error(int64_t error)
{
    switch (error) {
    case -ENOENT: case -ENOTDIR: case -ENAMETOOLONG: case -ENXIO: return 404;
    case -EACCES: case -EPERM: case -ELOOP: case -EXDEV: return 403;
    default: return 500;
    }
}

static const char *content_type(const char *path)
{
    const char *extension = strrchr(path, '.');
    for (size_t i = 0; extension != NULL && i < sizeof types / sizeof *types; i++)
        if (strcasecmp(extension, types[i][0]) == 0)
            return types[i][1];
    return "application/octet-stream";
}

static void write_date(char text[48], time_t time)
{
    struct tm parts = {0};
    gmtime_r(&time, &parts);
    strftime(text, 48, date_format, &parts);
}

/* Whether the client has this version of the file. */
static bool is_unmodified(const struct request *request, const char *etag, time_t modified)
{
    const char *etags = request->field[IF_NONE_MATCH], *since = request->field[IF_MODIFIED_SINCE];
    struct tm parts = {0};
    if (etags != NULL)
        return strcmp(etags, "*") == 0 || strstr(etags, etag) != NULL;
    return since != NULL && strptime(since, date_format, &parts) != NULL && modified <= timegm(&parts);
}

/* Takes a single range. Returns 206, 416, or 200 if the range is to be ignored. */
static int take_range(const char *range, int64_t size, struct part *part)
{
    char *rest;
    if (strncmp(range, "bytes=", 6) != 0)
        return 200;
    int64_t first = strtoll(range + 6, &rest, 10), last = INT64_MAX;
    if (range[6] == '-' && rest > range + 6) /* the last bytes */
        first = first + size > 0 ? first + size : 0;
    else if (rest == range + 6 || *rest++ != '-')
        return 200;
    else if (*rest != '\0')
        last = strtoll(rest, &rest, 10);
    if (*rest != '\0' || first < 0 || last < first)
        return 200;
    part->start = first < size ? first : 0;
    part->end = first >= size ? 0 : last < size ? last + 1 : size;
    return first < size ? 206 : 416;
}

/* Chooses 200, 206, 304 or 416, and what to send. Writes the fields that describe the file. */
static int describe(const struct request *request, const struct statx *file, char fields[512], struct part *part)
{
    long long size = (long long)file->stx_size, seconds = file->stx_mtime.tv_sec;
    const char *range = request->field[RANGE], *if_range = request->field[IF_RANGE];
    char etag[64], modified[48], content_range[80] = "";
    int status = 200;
    snprintf(etag, sizeof etag, "\"%llx-%llx.%x\"", size, seconds, file->stx_mtime.tv_nsec);
    write_date(modified, (time_t)seconds);
    part->end = size;
    if (is_unmodified(request, etag, (time_t)seconds))
        status = 304;
    else if (range != NULL && (if_range == NULL || strcmp(if_range, etag) == 0 || strcmp(if_range, modified) == 0))
        status = take_range(range, size, part);
    long long first = part->start, last = part->end - 1;
    if (status == 206)
        snprintf(content_range, 80, "Content-Range: bytes %lld-%lld/%lld\r\n", first, last, size);
    if (status == 416)
        snprintf(content_range, 80, "Content-Range: bytes */%lld\r\n", size);
    snprintf(fields, 512, "Content-Type: %s\r\nETag: %s\r\nLast-Modified: %s\r\nAccept-Ranges: bytes\r\n%s",
             content_type(request->path), etag, modified, content_range);
    return status;
}

size_t write_head(char head[HEAD_MOST], const struct request *request, int status, const struct statx *file, struct part *part)
{
    char date[48], fields[REQUEST_MOST + 512];
    write_date(date, time(NULL));
    *part = (struct part){0, 0};
    if (status == 200)
        status = describe(request, file, fields, part);
    else if (status == 301)
        snprintf(fields, sizeof fields, "Location: %s/\r\n", request->target);
    else
        strcpy(fields, "Allow: GET, HEAD\r\n");
    const char *connection = request->keep_alive ? "keep-alive" : "close";
    int length = snprintf(head, HEAD_MOST, "HTTP/1.1 %d %s\r\nServer: caio-httpd\r\nDate: %s\r\nConnection: %s\r\n", status,
                          reasons[status], date, connection);
    length += snprintf(head + length, HEAD_MOST - (size_t)length, "%sContent-Length: %lld\r\n\r\n", fields,
                       (long long)(part->end - part->start));
    if (request->head || status == 304)
        part->end = part->start;
    return (size_t)length;
}
