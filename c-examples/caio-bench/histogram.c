/* A log-linear histogram: each power of two has 32 buckets of equal width. */
#include "caio-bench.h"

static unsigned bucket_of(uint64_t value)
{
    unsigned power;
    if (value < SUBS)
        return (unsigned)value;
    power = 63 - (unsigned)__builtin_clzll(value);
    return (power - SUB_BITS + 1) * SUBS + (unsigned)(value >> (power - SUB_BITS)) - SUBS;
}

uint64_t histogram_limit(unsigned bucket)
{
    unsigned shift = bucket / SUBS;
    uint64_t sub = bucket % SUBS + 1;
    return shift == 0 ? sub : (SUBS + sub) << (shift - 1);
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    if (histogram->count == 0 || value < histogram->min)
        histogram->min = value;
    if (value > histogram->max)
        histogram->max = value;
    histogram->count++;
    histogram->sum += value;
    histogram->bucket[bucket_of(value)]++;
}

uint64_t histogram_percentile(const struct histogram *histogram, double percent)
{
    double wanted = (double)histogram->count * percent / 100;
    uint64_t seen = 0;
    for (unsigned i = 0; i < BUCKETS; i++) {
        seen += histogram->bucket[i];
        if (seen > 0 && (double)seen >= wanted) {
            uint64_t limit = histogram_limit(i) - 1;
            return limit < histogram->max ? limit : histogram->max;
        }
    }
    return histogram->max;
}
