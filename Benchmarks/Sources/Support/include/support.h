// What the benchmark programs share: clocks, numbers on the command line, latency samples, and starting a child.
// The C programs and the driver call it.

#ifndef POSTRIDER_BENCH_SUPPORT_H
#define POSTRIDER_BENCH_SUPPORT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// Microseconds since 1970: comparable between processes of one machine, which is how a commit in one program and a
// request in another become one latency.
int64_t bench_realtime_us(void);

// Microseconds since some start, never set back: for schedules and durations within one process.
int64_t bench_monotonic_us(void);

// User and system time this process has used so far, in microseconds.
int64_t bench_cpu_us(void);

// A whole number of an option, within bounds; anything else ends the program with status 64 and names the option.
int64_t bench_number(const char *option, const char *text, int64_t least, int64_t most);

// The value at a fraction (0.99) of count samples, nearest rank; 0 when there is none. The samples must be sorted.
int64_t bench_percentile(const int64_t *sorted, size_t count, double fraction);

void bench_sort(int64_t *samples, size_t count);

// Writes all of a buffer into a new file; the program ends with a message when that fails.
void bench_write_file(const char *path, const void *bytes, size_t length);

// A pipe that no child inherits: its reading end, then its writing end. Gives 0, or -1 with errno set. Swift's Glibc
// leaves pipe2 out.
int bench_pipe(int ends[2]);

// Starts a program in a process group of its own, with standard output and error going to the two descriptors. The
// kernel kills it when the calling thread ends, so that not even a kill -9 of the driver leaves a child behind.
// Gives the pid, or -1 with errno set.
pid_t bench_spawn(const char *program, char *const arguments[], char *const environment[], int output, int error);

// Records of the receiver's --record file, one for each request, in the order of arrival.
struct bench_arrival {
    int64_t arrived_us;
    uint16_t destination; // index of the port
    uint16_t id_length;   // of webhook-id, 0 when there was none
    char id[44];          // its first bytes
};

// Records of the producer's --record file, one for each commit, in the order of acknowledgement.
struct bench_commit {
    int64_t sequence; // $1 of the statement
    int64_t due_us;   // when the schedule wanted it sent; in the closed loop when it was sent
    int64_t sent_us;
    int64_t acknowledged_us;
    char id[40]; // first column of the first row, when the statement returns one
};

#endif
