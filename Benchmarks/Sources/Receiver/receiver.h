// The parts of bench-receiver.

#ifndef POSTRIDER_BENCH_RECEIVER_H
#define POSTRIDER_BENCH_RECEIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

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
    const char *certificate; // PEM file with the chain; NULL for plain http
    const char *key;         // PEM file
    int64_t close_after;     // requests after which a connection is closed; 0 for never
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
    int64_t handshakes, resumed, handshakes_failed; // of TLS: full ones, those that resumed a session, others
    int64_t most_requests;                          // that came over one connection
    int64_t first_us;
    int64_t by_port[most_ports];
};

extern struct figures figures;

void figures_start(const struct options *options);

// Counts one request.
void figures_count(uint16_t destination, const char *id, size_t id_length, int64_t now_us);

// Prints the figures as one line of JSON and writes the record file, if there is one.
void figures_print(const struct options *options);

// tls.c: HTTPS ------------------------------------------------------------------------------------------------------

struct ssl_st; // OpenSSL's SSL

// Reads certificate and key, if there are any; the program ends with status 64 and OpenSSL's words when they are bad.
void tls_start(const struct options *options);

bool tls_is_wanted(void);

// The server's side of an accepted socket, whose handshake comes first; NULL without memory.
struct ssl_st *tls_open(int fd);

// Goes on with the handshake and counts it at its end: 1 done, 0 waits for the socket, -1 failed.
int tls_shake(struct ssl_st *tls);

// Whether it waits for room in the socket; otherwise for bytes.
bool tls_wants_room(struct ssl_st *tls);

// As recv and send on a non-blocking socket. What was read ahead is not seen by epoll: tls_has_more tells of it.
ssize_t tls_receive(struct ssl_st *tls, void *bytes, size_t room);
ssize_t tls_send(struct ssl_st *tls, const void *bytes, size_t length);
bool tls_has_more(struct ssl_st *tls);

// Says that nothing more will be sent: a session that ends without it would not be resumed.
void tls_end(struct ssl_st *tls);

void tls_free(struct ssl_st *tls);

// loop.c: sockets -----------------------------------------------------------------------------------------------------

// Binds the ports, prints them as one line of JSON, and serves until a signal or the count ends it.
void serve(const struct options *options);

#endif
