// What is here: calls of Linux that Swift's Glibc module does not carry, for tests alone. No logic.

#ifndef POSTRIDER_CLINUX_SHIM_H
#define POSTRIDER_CLINUX_SHIM_H

#include <stddef.h>

// <sched.h>: a network namespace.
#define CLINUX_NEWNET 0x40000000

// No system headers beyond this one: a header that two modules include belongs to one of them alone. epoll is CLibPQ's.
// Declared here and not by _GNU_SOURCE, which would have to come before every other header.
extern int accept4(int socket, void *address, unsigned *length, int flags);
extern int setns(int space, int kind);
extern int pipe2(int ends[2], int flags);
extern int unshare(int what);
extern void *memmem(const void *space, size_t space_length, const void *wanted, size_t wanted_length);

#endif
