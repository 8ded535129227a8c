/* The work of the programs in this directory: reads of a file beside a 5 ms timer. Each program shows one event loop.
 *
 *   LOOP caio|pool FILE
 *
 * First come 10,000 cold reads of 4 KiB, then cached reads without end, for half a second. The reads go through libcaio, or
 * through pread(2) on a pool of threads. At the end, the program prints how late the timer was in each part. */
#ifndef READS_H
#define READS_H
#include <caio.h>
#include <stdbool.h>
#ifdef __cplusplus
extern "C" {
#endif

enum { TICK_MS = 5 };

/* Starts the first reads. Writes FILE if it is not there. */
void reads_start(int argc, char **argv);

/* What the loop watches for reading: caio_ctx_eventfd(ctx). */
int reads_descriptor(void);

/* For the loop's handler: calls caio_ctx_poll once, and handles the events. Returns false when all is done. */
bool reads_handle(void);

/* The same, and whether the array was full, so that an edge-triggered loop must re-arm. */
bool reads_handle_full(bool *full);

/* For the timer of TICK_MS. */
void reads_tick(void);

/* Calls caio_ctx_free, and prints the results. Remove the descriptor from the loop first. Returns the exit status. */
int reads_finish(void);

/* Exits with a message if `result` is negative; errno says why. */
int checked(int result, const char *what);

#ifdef __cplusplus
}
#endif
#endif
