// The parts of bench-producer.

#ifndef POSTRIDER_BENCH_PRODUCER_H
#define POSTRIDER_BENCH_PRODUCER_H

#include "support.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { most_connections = 64 };

struct options {
    const char *database;  // conninfo or URL
    const char *statement; // takes $1 bigint, the sequence number
    const char *record_path;
    int connections;
    int64_t rate; // statements a second; 0 for the closed loop
    int64_t seconds;
    int64_t first; // first sequence number
};

// samples.c: what happened to each statement --------------------------------------------------------------------------

// Room for so many commits; more are counted and not recorded.
void samples_reserve(size_t expected);

// Notes one acknowledged commit. The id may be NULL.
void samples_add(int64_t sequence, int64_t due_us, int64_t sent_us, const char *id, size_t id_length);

// Prints the figures as one JSON line and writes the record file, if there is one.
void samples_print(const struct options *options, int64_t elapsed_us);

// loop.c: connections and the schedule ----------------------------------------------------------------------------------

// Connects, prints {"ready":true}, runs the statement for the time given, and gives the time it took in microseconds.
int64_t produce(const struct options *options);

#endif
