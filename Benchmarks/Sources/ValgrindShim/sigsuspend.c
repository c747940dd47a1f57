// sigsuspend(2) with a mask that may be written to. Loaded before all else into a worker under valgrind.
//
// Swift's main thread ends up in libdispatch, which waits for signals with a constant mask. Valgrind 3.19 takes SIGKILL and
// SIGSTOP out of the caller's mask in place, and dies of the read-only page.

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

int sigsuspend(const sigset_t *mask) {
    sigset_t copy = *mask;
    // The kernel's mask has a bit for each signal, 64 of them; that of libc is longer.
    return (int)syscall(SYS_rt_sigsuspend, &copy, 8);
}
