/* Reads on a pool of 32 threads with an eventfd, for comparison. Operations and events are those of libcaio. */
#ifndef POOL_H
#define POOL_H
#include <caio.h>

void pool_start(void);
void pool_submit(const caio_op *op); /* at most 64 in flight */
int pool_poll(caio_event *events, uint32_t max_events);
int pool_descriptor(void);
void pool_stop(void); /* when nothing is in flight */

#endif
