#include "histogram.h"

double histogram_us(const struct histogram *self, double part)
{
    uint64_t wanted = (uint64_t)((double)self->count * part), seen = 0, end;
    unsigned bucket = 0;

    while (bucket < BUCKETS - 1 && (seen += self->bucket[bucket]) <= wanted)
        bucket++;
    end = bucket + 1;
    if (end > STEPS)
        end = (uint64_t)(end % STEPS + STEPS) << (end / STEPS - 1);
    return (double)(end < self->max_ns ? end : self->max_ns) / 1e3;
}
