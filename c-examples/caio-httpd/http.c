/* HTTP without I/O: parses requests, and writes the heads of responses (RFC 9110, RFC 9112). */
#include "httpd.h"
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes the path of a request target. False if it leaves the directory or is malformed. */
static bool decode_path(const char *target, struct request *request)
{
    char *out = request->path, *const limit = out + PATH_MOST - sizeof "index.html";
    if (*target != '/')
        return false;
    while (*target == '/')
        target++;
    for (; *target != '\0' && *target != '?' && *target != '#'; target++) {
        char c = *target;
        if (c == '%') {
            int high = hex(target[1]), low = high < 0 ? -1 : hex(target[2]);
            if (low < 0)
                return false;
            c = (char)(high << 4 | low);
            target += 2;
        }
        if ((unsigned char)c < ' ' || out == limit)
            return false;
        *out++ = c;
    }
    *out = '\0';
    for (const char *part = request->path; part != NULL; part = strchr(part, '/')) {
        part += *part == '/';
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
            return false;
    }
    request->is_directory = out == request->path || out[-1] == '/';
    if (request->is_directory)
        strcpy(out, "index.html");
    return true;
}

static void take_header(const char *name, char *value, struct request *request)
{
    if (strcasecmp(name, "range") == 0)
        request->range = value;
    else if (strcasecmp(name, "if-range") == 0)
        request->if_range = value;
    else if (strcasecmp(name, "if-none-match") == 0)
        request->if_none_match = value;
    else if (strcasecmp(name, "if-modified-since") == 0)
        request->if_modified_since = value;
    else if (strcasecmp(name, "connection") == 0)
        request->keep_alive = strcasestr(value, "close") == NULL && (request->keep_alive || strcasestr(value, "keep-alive") != NULL);
}

int parse_request(char *text, size_t length, struct request *request)
{
    char *rest = NULL, *method, *target, *version, *line;
    memset(request, 0, sizeof *request);
    if (memchr(text, '\0', length) != NULL)
        return 400;
    text[length - 2] = '\0'; /* the last line is empty */
    line = strtok_r(text, "\r\n", &rest);
    method = line;
    target = line == NULL ? NULL : strchr(line, ' ');
    version = target == NULL ? NULL : strchr(target + 1, ' ');
    if (version == NULL || strncmp(version + 1, "HTTP/1.", 7) != 0)
        return 400;
    *target++ = *version++ = '\0';
    request->keep_alive = strcmp(version, "HTTP/1.0") != 0;
    while ((line = strtok_r(NULL, "\r\n", &rest)) != NULL) {
        char *value = strchr(line, ':');
        if (value == NULL)
            return 400;
        *value++ = '\0';
        take_header(line, value + strspn(value, " \t"), request);
        /* A body would be taken for the next request. */
        if (strcasecmp(line, "transfer-encoding") == 0 || (strcasecmp(line, "content-length") == 0 && atoi(value) != 0))
            return 400;
    }
    request->head = strcmp(method, "HEAD") == 0;
    if (!request->head && strcmp(method, "GET") != 0)
        return 405;
    return decode_path(target, request) ? 0 : 400;
}

static const char *reason(int status)
{
    switch (status) {
    case 200: return "OK";
    case 206: return "Partial Content";
    case 301: return "Moved Permanently";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 416: return "Range Not Satisfiable";
    case 431: return "Request Header Fields Too Large";
    default: return "Internal Server Error";
    }
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
    static const char *const types[][2] = {
        {".html", "text/html; charset=utf-8"}, {".css", "text/css"}, {".js", "text/javascript"}, {".json", "application/json"},
        {".txt", "text/plain; charset=utf-8"}, {".svg", "image/svg+xml"}, {".png", "image/png"}, {".jpg", "image/jpeg"},
        {".gif", "image/gif"}, {".webp", "image/webp"}, {".pdf", "application/pdf"}, {".wasm", "application/wasm"},
    };
    const char *extension = strrchr(path, '.');
    for (size_t i = 0; extension != NULL && i < sizeof types / sizeof *types; i++)
        if (strcasecmp(extension, types[i][0]) == 0)
            return types[i][1];
    return "application/octet-stream";
}

static void write_date(char text[32], time_t time)
{
    struct tm parts;
    strftime(text, 32, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&time, &parts));
}

static bool parse_date(const char *text, int64_t *time)
{
    struct tm parts;
    memset(&parts, 0, sizeof parts);
    if (strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &parts) == NULL)
        return false;
    *time = timegm(&parts);
    return true;
}

/* Does the client have this version of the file? */
static bool is_unmodified(const struct request *request, const char *etag, int64_t modified)
{
    int64_t since;
    if (request->if_none_match != NULL)
        return strcmp(request->if_none_match, "*") == 0 || strstr(request->if_none_match, etag) != NULL;
    return request->if_modified_since != NULL && parse_date(request->if_modified_since, &since) && modified <= since;
}

/* Takes a single range. Returns 200 if there is none that applies, 206, or 416. */
static int take_range(const struct request *request, const char *etag, const char *modified, int64_t size, struct response *response)
{
    const char *text = request->range;
    char *rest;
    if (text == NULL || strncmp(text, "bytes=", 6) != 0 || strchr(text, ',') != NULL)
        return 200;
    if (request->if_range != NULL && strcmp(request->if_range, etag) != 0 && strcmp(request->if_range, modified) != 0)
        return 200;
    text += 6;
    if (*text == '-') {
        int64_t last = strtoll(text + 1, &rest, 10);
        if (rest == text + 1 || *rest != '\0' || last < 0)
            return 200;
        response->start = last < size ? size - last : 0;
        return last == 0 || size == 0 ? 416 : 206;
    }
    int64_t start = strtoll(text, &rest, 10), end = INT64_MAX;
    if (rest == text || *rest != '-' || start < 0)
        return 200;
    text = rest + 1;
    if (*text != '\0') {
        end = strtoll(text, &rest, 10);
        if (rest == text || *rest != '\0' || end < start)
            return 200;
    }
    if (start >= size)
        return 416;
    response->start = start;
    if (end < size - 1)
        response->end = end + 1;
    return 206;
}

/* Adds text to the head. A redirection to a path that is too long for it is refused before. */
static void add(struct response *response, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct response *response, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t room = sizeof response->head - response->head_length;
    int length = vsnprintf(response->head + response->head_length, room, format, arguments);
    va_end(arguments);
    if (length > 0 && (size_t)length < room)
        response->head_length += (size_t)length;
}

static void begin(struct response *response, const struct request *request, int status)
{
    char date[32];
    write_date(date, time(NULL));
    response->status = status;
    response->head_length = 0;
    add(response, "HTTP/1.1 %d %s\r\nServer: caio-httpd\r\nDate: %s\r\n", status, reason(status), date);
    if (!request->keep_alive)
        add(response, "Connection: close\r\n");
}

void respond_with_status(struct response *response, const struct request *request, int status)
{
    if (status == 301 && 3 * strlen(request->path) > sizeof response->head - 256)
        status = 404;
    begin(response, request, status);
    response->start = response->end = 0;
    if (status == 405)
        add(response, "Allow: GET, HEAD\r\n");
    if (status == 301) {
        add(response, "Location: /");
        for (const char *c = request->path; *c != '\0'; c++)
            add(response, strchr("/-._~", *c) != NULL || isalnum((unsigned char)*c) ? "%c" : "%%%02X", (unsigned char)*c);
        add(response, "/\r\n");
    }
    add(response, "Content-Length: 0\r\n\r\n");
}

void respond_with_file(struct response *response, const struct request *request, const struct statx *file)
{
    char etag[64], modified[32];
    int64_t size = (int64_t)file->stx_size;
    snprintf(etag, sizeof etag, "\"%llx-%llx.%x\"", (unsigned long long)file->stx_size, (unsigned long long)file->stx_mtime.tv_sec,
             (unsigned)file->stx_mtime.tv_nsec);
    write_date(modified, (time_t)file->stx_mtime.tv_sec);
    response->start = 0;
    response->end = size;
    int status = is_unmodified(request, etag, file->stx_mtime.tv_sec) ? 304 : take_range(request, etag, modified, size, response);
    if (status == 304 || status == 416)
        response->start = response->end = 0;
    begin(response, request, status);
    add(response, "ETag: %s\r\nLast-Modified: %s\r\nAccept-Ranges: bytes\r\n", etag, modified);
    if (status == 206)
        add(response, "Content-Range: bytes %lld-%lld/%lld\r\n", (long long)response->start, (long long)response->end - 1, (long long)size);
    if (status == 416)
        add(response, "Content-Range: bytes */%lld\r\n", (long long)size);
    if (status != 304)
        add(response, "Content-Type: %s\r\nContent-Length: %lld\r\n", content_type(request->path), (long long)(response->end - response->start));
    add(response, "\r\n");
    if (request->head)
        response->end = response->start;
}
