// The parts of bench-bare.

#ifndef POSTRIDER_BENCH_BARE_H
#define POSTRIDER_BENCH_BARE_H

#include <stddef.h>
#include <stdint.h>

struct options {
    const char *database; // conninfo or URL
    const char *url;
    int batch;
    int in_flight;
};

// One claimed event; the texts belong to the batch that holds it.
struct event {
    const char *id, *type, *data;
    int data_length;
};

// outbox.c: Postgres ----------------------------------------------------------------------------------------------------

// Connects and prepares; the program ends with a message when that fails.
void outbox_open(const struct options *options);

// Takes up to a batch off the queue, in the order of the queue. Gives their number, 0 when the queue is empty. The
// events live until the next call.
int outbox_claim(const struct options *options, struct event *events);

// Writes down that the claimed batch was delivered: one row.
void outbox_record(void);

// sender.c: HTTP ----------------------------------------------------------------------------------------------------------

void sender_open(const struct options *options);

// Posts all of them and gives how many were answered with 2xx.
int sender_post(const struct event *events, int count);

// signature.c: Standard Webhooks v1 -----------------------------------------------------------------------------------------

enum { signature_room = 64 };

// "v1," and the base64 of HMAC-SHA256 over id.timestamp.body.
void sign(const char *id, const char *timestamp, const char *body, size_t length, char signature[signature_room]);

#endif
