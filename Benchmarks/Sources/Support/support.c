// Clocks, numbers and files of the benchmark programs.

#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static int64_t clock_us(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t bench_realtime_us(void) { return clock_us(CLOCK_REALTIME); }

int64_t bench_monotonic_us(void) { return clock_us(CLOCK_MONOTONIC); }

int64_t bench_cpu_us(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return ((int64_t)usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec +
           usage.ru_stime.tv_usec;
}

int64_t bench_number(const char *option, const char *text, int64_t least, int64_t most) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || *text == '\0' || *end != '\0' || value < least || value > most) {
        fprintf(stderr, "%s takes a whole number from %lld to %lld, not \"%s\".\n", option, (long long)least,
                (long long)most, text);
        exit(64);
    }
    return value;
}

int64_t bench_percentile(const int64_t *sorted, size_t count, double fraction) {
    if (count == 0) return 0;
    size_t rank = (size_t)(fraction * (double)count);
    return sorted[rank < count ? rank : count - 1];
}

static int compare(const void *left, const void *right) {
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

void bench_sort(int64_t *samples, size_t count) { qsort(samples, count, sizeof *samples, compare); }

void bench_write_file(const char *path, const void *bytes, size_t length) {
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(bytes, 1, length, file) != length || fclose(file) != 0) {
        fprintf(stderr, "%s cannot be written: %s\n", path, strerror(errno));
        exit(74);
    }
}
