// The set of webhook-ids that have arrived, by destination: a table of 128-bit fingerprints with open addressing.
// Two different ids share a fingerprint with a chance of about 1 in 10^26 at a million ids, so duplicates are counted
// as if exactly.

#include "receiver.h"

#include <stdio.h>
#include <stdlib.h>

struct fingerprint {
    uint64_t high, low; // both 0: an empty slot
};

static struct fingerprint *table;
static size_t capacity, used;

static uint64_t mix(uint64_t value) {
    value ^= value >> 32;
    value *= 0xd6e8feb86659fd93;
    value ^= value >> 32;
    return value;
}

static struct fingerprint fingerprint_of(uint16_t destination, const char *id, size_t length) {
    uint64_t high = 0xcbf29ce484222325 + destination, low = 0x9e3779b97f4a7c15 ^ destination;
    for (size_t i = 0; i < length; i++) {
        high = (high ^ (unsigned char)id[i]) * 0x100000001b3;
        low = (low + (unsigned char)id[i]) * 0xda942042e4dd58b5;
        low ^= low >> 29;
    }
    return (struct fingerprint){mix(high), mix(low) | 1};
}

static bool place(struct fingerprint item) {
    size_t slot = item.high & (capacity - 1);
    while (table[slot].low != 0) {
        if (table[slot].low == item.low && table[slot].high == item.high) return false;
        slot = (slot + 1) & (capacity - 1);
    }
    table[slot] = item;
    used++;
    return true;
}

static void resize(size_t wanted) {
    struct fingerprint *old = table;
    size_t old_capacity = capacity;
    capacity = wanted;
    used = 0;
    table = calloc(capacity, sizeof *table);
    if (table == NULL) {
        fprintf(stderr, "There is no memory for %zu ids.\n", capacity);
        exit(71);
    }
    for (size_t i = 0; i < old_capacity; i++) {
        if (old[i].low != 0) place(old[i]);
    }
    free(old);
}

void seen_reserve(size_t expected) {
    size_t wanted = 1 << 16;
    while (wanted < expected * 2) wanted *= 2;
    if (wanted > capacity) resize(wanted);
}

bool seen_insert(uint16_t destination, const char *id, size_t length) {
    if (used * 2 >= capacity) resize(capacity * 2);
    return place(fingerprint_of(destination, id, length));
}
