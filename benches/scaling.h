/* Helpers for the scaling tables. */
#ifndef SCALING_H
#define SCALING_H

#include <caio.h>

struct backend {
    const char *name;
    unsigned number;
};
/* The three backends, then a NULL name. */
extern const struct backend backends[];

/* Returns a context, or NULL if this machine does not support the backend. */
caio_ctx *context_new(unsigned backend, unsigned flags, unsigned max_requests);
/* Prints the table of caio_ctx_cancel. The file to read is made in `folder`. */
void cancel_table(const char *folder);

#endif
