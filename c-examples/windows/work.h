/* The work of the programs in this directory: they copy FILE to standard output, through a context that NAME_loop.c watches. */
#ifndef WORK_H
#define WORK_H
#include <winsock2.h>
#include <windows.h>

#include <caio.h>
#include <stdbool.h>

/* Opens FILE and starts the first read. */
caio_ctx *work_start(int argc, char **argv);

/* For the loop's handler: takes the events that are there, and starts the next read. Returns false when all is done. */
bool work_handle(caio_ctx *ctx);

/* Frees the context. Returns the exit status. */
int work_finish(caio_ctx *ctx);

/* Exits with a message if `result` is negative. */
int checked(int result, const char *what);

#endif
