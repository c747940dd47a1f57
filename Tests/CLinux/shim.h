// What is here: calls of Linux that Swift's Glibc module does not carry, for tests alone. No logic.
//
// No header of the system is included: a constant that two modules bring is found in only one of them, and which one it
// is depends on the order in which the compiler comes across them. So the few declarations needed stand here, by names of
// their own where the headers have them too.

#ifndef POSTRIDER_CLINUX_SHIM_H
#define POSTRIDER_CLINUX_SHIM_H

// <sched.h>: a network namespace.
#define CLINUX_NEWNET 0x40000000

extern int setns(int space, int kind);
extern int unshare(int what);
extern int pipe2(int ends[2], int flags);
extern int clinux_accept(int socket, void *address, unsigned int *length, int flags) __asm__("accept4");
extern void *clinux_find(const void *space, long space_length, const void *wanted, long wanted_length)
    __asm__("memmem");

// <sys/epoll.h>
#define CLINUX_POLL_CLOEXEC 02000000
#define CLINUX_POLL_ADD 1
#define CLINUX_POLL_CHANGE 3
#define CLINUX_READABLE 0x001u
#define CLINUX_WRITABLE 0x004u
#define CLINUX_ERROR 0x008u
#define CLINUX_HANGUP 0x010u
#define CLINUX_PEER_CLOSED 0x2000u

// struct epoll_event, of which the descriptor alone is used; without a gap on x86_64, where the kernel packs it.
struct clinux_event {
    unsigned int events;
#if !defined(__x86_64__)
    int gap;
#endif
    int descriptor;
    int unused;
};

extern int clinux_poll_make(int flags) __asm__("epoll_create1");
extern int clinux_poll_control(int poll, int operation, int descriptor, struct clinux_event *event)
    __asm__("epoll_ctl");
extern int clinux_poll_wait(int poll, struct clinux_event *events, int most, int milliseconds) __asm__("epoll_wait");

#endif
