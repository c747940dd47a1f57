// The counters that libbench-copies keeps in a file which the driver reads.

#ifndef POSTRIDER_BENCH_COPIES_H
#define POSTRIDER_BENCH_COPIES_H

#include <stdint.h>

// The file of BENCH_COPIES_FILE, mapped by the process that is counted. All but "least" only grow.
struct bench_copies {
    uint64_t least;           // allocations and copies of fewer bytes do not count
    uint64_t allocations;     // calls of malloc, calloc, realloc, posix_memalign, aligned_alloc
    uint64_t allocated_bytes; // what they asked for
    uint64_t copies;          // calls of memcpy, memmove and mempcpy, and blocks that realloc had to move
    uint64_t copied_bytes;
    uint64_t received_bytes;  // by calls of recv and read of any size
    uint64_t sent_bytes;      // by calls of send, sendmsg and write of any size
};

#endif
