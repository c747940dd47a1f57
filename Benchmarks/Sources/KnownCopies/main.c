// A program whose large allocations and copies are known: the test of the counters. It prints what should be counted.

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { large = 100000, small = 4000, rounds = 7 };

// Nothing may be left out because nobody looks at the result.
static void keep(void *pointer) { __asm__ volatile("" : : "r"(pointer) : "memory"); }

// Sends bytes to itself; gives how many.
static long talk(void) {
    static char bytes[small];
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) exit(1);
    long count = send(ends[0], bytes, sizeof bytes, 0);
    if (recv(ends[1], bytes, sizeof bytes, MSG_WAITALL) != count) exit(1);
    if (write(ends[1], bytes, small / 2) != small / 2 || read(ends[0], bytes, small / 2) != small / 2) exit(1);
    return count + small / 2;
}

int main(void) {
    size_t moved = 0;
    for (int round = 0; round < rounds; round++) {
        char *first = malloc(large);
        char *second = calloc(1, large);
        void *third;
        memset(first, round, large);
        keep(first);
        if (posix_memalign(&third, 64, large) != 0) return 1;
        memcpy(second, first, large);
        keep(second);
        memmove(second + 1, second, large - 1);
        keep(second);
        memcpy(third, second, large);
        keep(third);
        if (memcmp(third, second, large) != 0 || second[1] != round) return 1;
        // A neighbour behind the block leaves it no room to grow in place.
        void *neighbour = malloc(large);
        // All that fits into the block, which is a little more than was asked for, moves with it.
        moved += malloc_usable_size(first);
        char *grown = realloc(first, 4 * large);
        if (grown == NULL || grown[large - 1] != round) return 1;
        keep(grown);
        for (int index = 0; index < 100; index++) {
            char *piece = malloc(small);
            memcpy(piece, grown, small);
            keep(piece);
            free(piece);
        }
        free(neighbour);
        free(grown);
        free(second);
        free(third);
    }
    // In each round: four large blocks and one of four times the size; three copies and the move of the block that grows.
    printf("{\"allocations\": %d, \"allocated\": %d, \"copies\": %d, \"copied\": %zu, \"exchanged\": %ld}\n", 5 * rounds,
           8 * large * rounds, 4 * rounds, (size_t)(3 * large - 1) * rounds + moved, talk());
    return 0;
}
