// The parts of bench-receiver.

#ifndef POSTRIDER_BENCH_RECEIVER_H
#define POSTRIDER_BENCH_RECEIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { most_ports = 64 };

struct options {
    int ports;
    int first_port; // 0 lets the kernel choose
    int status;
    int64_t delay_us;
    int64_t count;     // distinct requests after which the figures are printed; 0 for never
    bool exit_at_count;
    int64_t record_limit;
    const char *record_path;
    const char *body;
};

// request.c: one request's head ------------------------------------------------------------------------------------

struct head {
    size_t length; // of the head with its empty line; 0 while it is incomplete
    uint64_t body_length;
    const char *id; // value of webhook-id, NULL when there is none
    size_t id_length;
    bool bad; // cannot be framed (chunked, or a Content-Length that is no number)
};

// Parses what stands at the start of bytes. scanned is how much of it an earlier call has seen.
struct head parse_head(const char *bytes, size_t length, size_t scanned);

// seen.c: which ids have arrived -----------------------------------------------------------------------------------

// Room for expected ids without growing.
void seen_reserve(size_t expected);

// Remembers an id of a destination; false when it was there already.
bool seen_insert(uint16_t destination, const char *id, size_t length);

// figures.c: what is counted and recorded ---------------------------------------------------------------------------

struct figures {
    int64_t requests, distinct, duplicates, without_id, connections, open_connections, bytes, bad;
    int64_t first_us, last_us;
    int64_t by_port[most_ports];
};

extern struct figures figures;

void figures_start(const struct options *options);

// Counts one request.
void figures_count(uint16_t destination, const char *id, size_t id_length, int64_t now_us);

// Prints the figures as one line of JSON and writes the record file, if there is one.
void figures_print(const struct options *options);

// loop.c: sockets -----------------------------------------------------------------------------------------------------

// Binds the ports, prints them as one line of JSON, and serves until a signal or the count ends it.
void serve(const struct options *options);

#endif
