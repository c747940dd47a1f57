// Counters of the receiver, its JSON line, and the record of arrivals.

#include "receiver.h"

#include "support.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct figures figures;

static struct bench_arrival *records;
static size_t record_count, record_limit;

void figures_start(const struct options *options) {
    seen_reserve(options->count > 0 ? (size_t)options->count : 1 << 20);
    if (options->record_path == NULL) return;
    record_limit = (size_t)options->record_limit;
    // Taken at once and touched as it fills: no growing, so no copy, while something is measured.
    records = mmap(NULL, record_limit * sizeof *records, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (records == MAP_FAILED) {
        perror("The record of arrivals has no memory");
        exit(71);
    }
}

static void record(uint16_t destination, const char *id, size_t id_length, int64_t now_us) {
    if (record_count >= record_limit) return;
    struct bench_arrival *entry = &records[record_count++];
    entry->arrived_us = now_us;
    entry->destination = destination;
    entry->id_length = (uint16_t)(id_length < sizeof entry->id ? id_length : sizeof entry->id);
    memcpy(entry->id, id, entry->id_length);
}

void figures_count(uint16_t destination, const char *id, size_t id_length, int64_t now_us) {
    if (figures.requests++ == 0) figures.first_us = now_us;
    figures.by_port[destination]++;
    if (id == NULL) {
        figures.without_id++;
        figures.distinct++;
        id = "";
    } else if (seen_insert(destination, id, id_length)) {
        figures.distinct++;
    } else {
        figures.duplicates++;
    }
    if (records != NULL) record(destination, id, id_length, now_us);
}

void figures_print(const struct options *options) {
    if (records != NULL) bench_write_file(options->record_path, records, record_count * sizeof *records);
    printf("{\"requests\":%" PRId64 ",\"distinct\":%" PRId64 ",\"duplicates\":%" PRId64 ",\"without_id\":%" PRId64
           ",\"bad\":%" PRId64 ",\"connections\":%" PRId64 ",\"open_connections\":%" PRId64 ",\"bytes\":%" PRId64
           ",\"handshakes\":%" PRId64 ",\"resumed\":%" PRId64 ",\"handshakes_failed\":%" PRId64
           ",\"most_requests\":%" PRId64 ",\"first_us\":%" PRId64 ",\"cpu_us\":%" PRId64 ",\"recorded\":%zu,\"by_port\":[",
           figures.requests, figures.distinct, figures.duplicates, figures.without_id, figures.bad,
           figures.connections, figures.open_connections, figures.bytes, figures.handshakes, figures.resumed,
           figures.handshakes_failed, figures.most_requests, figures.first_us, bench_cpu_us(),
           record_count);
    for (int port = 0; port < options->ports; port++) {
        printf("%s%" PRId64, port == 0 ? "" : ",", figures.by_port[port]);
    }
    printf("]}\n");
    fflush(stdout);
}
