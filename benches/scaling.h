/* Helpers that the tables about scaling share. */
#ifndef SCALING_H
#define SCALING_H

#include <caio.h>

struct backend {
    const char *name;
    unsigned number;
};
/* The three backends; ends with a name of NULL. */
extern const struct backend backends[];

/* A context, or NULL if this machine refuses the backend. */
caio_ctx *context_new(unsigned backend, unsigned flags, unsigned max_requests);
/* The table of caio_ctx_cancel; `folder` is for a file to read. */
void cancel_table(const char *folder);

#endif
