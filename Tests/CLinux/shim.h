// What is here: calls of Linux that Swift's Glibc module does not carry, for tests alone. No logic.

#ifndef POSTRIDER_CLINUX_SHIM_H
#define POSTRIDER_CLINUX_SHIM_H

#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>

// Declared here and not by _GNU_SOURCE, which would have to come before every other header.
extern int accept4(int socket, struct sockaddr *address, socklen_t *length, int flags);
extern int pipe2(int ends[2], int flags);
extern int unshare(int what);
extern void *memmem(const void *space, size_t space_length, const void *wanted, size_t wanted_length);

#endif
