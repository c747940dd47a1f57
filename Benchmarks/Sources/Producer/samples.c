// Times of each commit, and the figures made of them.

#include "producer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static struct bench_commit *commits;
static size_t capacity, recorded;
static int64_t count;

void samples_reserve(size_t expected) {
    capacity = expected;
    // Touched as it fills, never moved: no copy while something is measured.
    commits = mmap(NULL, capacity * sizeof *commits, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (commits == MAP_FAILED) {
        perror("The record of commits has no memory");
        exit(71);
    }
}

void samples_add(int64_t sequence, int64_t due_us, int64_t sent_us, const char *id, size_t id_length) {
    count++;
    if (recorded == capacity) return;
    struct bench_commit *commit = &commits[recorded++];
    commit->sequence = sequence;
    commit->due_us = due_us;
    commit->sent_us = sent_us;
    commit->acknowledged_us = bench_realtime_us();
    if (id_length > sizeof commit->id) id_length = sizeof commit->id;
    if (id != NULL) memcpy(commit->id, id, id_length);
}

void samples_print(const struct options *options, int64_t elapsed_us) {
    if (options->record_path != NULL) bench_write_file(options->record_path, commits, recorded * sizeof *commits);
    int64_t *times = malloc((recorded + 1) * sizeof *times);
    if (times == NULL) exit(71);
    for (size_t i = 0; i < recorded; i++) times[i] = commits[i].acknowledged_us - commits[i].sent_us;
    bench_sort(times, recorded);
    int64_t commit_p50 = bench_percentile(times, recorded, 0.5), commit_p99 = bench_percentile(times, recorded, 0.99);
    for (size_t i = 0; i < recorded; i++) times[i] = commits[i].sent_us - commits[i].due_us;
    bench_sort(times, recorded);
    printf("{\"commits\":%" PRId64 ",\"recorded\":%zu,\"elapsed_us\":%" PRId64 ",\"commit_p50_us\":%" PRId64
           ",\"commit_p99_us\":%" PRId64 ",\"late_p99_us\":%" PRId64 ",\"cpu_us\":%" PRId64 "}\n",
           count, recorded, elapsed_us, commit_p50, commit_p99, bench_percentile(times, recorded, 0.99),
           bench_cpu_us());
    free(times);
}
