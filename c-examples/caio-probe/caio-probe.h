/* caio-probe: reports which backends work on this machine, and why others do not.
 *
 *   main.c      options, backends, limits and output
 *   features.c  what the kernel supports
 *   paths.c     what the file system of a path supports
 */
#ifndef CAIO_PROBE_H
#define CAIO_PROBE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <caio.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* features.c */

struct feature {
    const char *name, *purpose;
    int since;          /* the first Linux version with it: major * 100 + minor */
    const char *calls;  /* the system calls that a filter must allow */
    int (*test)(void);  /* returns 0 or an errno */
    const char *without; /* what the library does instead */
};

extern const struct feature features[];
extern const size_t feature_count;

/* Describes why a feature is missing and how to change that. */
void explain_missing(const struct feature *feature, int error, char *text, size_t size);

/* paths.c */

struct path_facts {
    const char *type;               /* of the file system */
    int error;                      /* not 0 if the path cannot be examined */
    int direct;                     /* 0 if O_DIRECT works, else an errno */
    uint32_t memory, offset;        /* the alignment that O_DIRECT needs, or 0 if unknown */
    int nowait_read, nowait_write;  /* 0 if RWF_NOWAIT works on a buffered file, -1 if not tested, else an errno */
};

/* Examines a file, or the file system of a directory through an unnamed temporary file. */
struct path_facts examine_path(const char *path);

#endif
