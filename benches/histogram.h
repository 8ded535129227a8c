/* Times in buckets of 1/16 of a power of two. The histogram is small, so that it evicts little from the CPU caches. */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>

enum { STEPS = 16, BUCKETS = 40 * STEPS };

struct histogram {
    uint64_t count, max_ns;
    uint32_t bucket[BUCKETS];
};

static inline void histogram_add(struct histogram *self, uint64_t ns)
{
    unsigned bucket = (unsigned)ns;

    if (ns >= STEPS) {
        unsigned octave = 63 - (unsigned)__builtin_clzll(ns);
        bucket = (octave - 3) * STEPS + (unsigned)(ns >> (octave - 4)) - STEPS;
    }
    self->bucket[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
    self->count++;
    if (ns > self->max_ns)
        self->max_ns = ns;
}

/* The quantile `part` in microseconds: the upper end of its bucket. */
double histogram_us(const struct histogram *self, double part);

#endif
