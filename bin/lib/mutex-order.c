// Tells ThreadSanitizer of the order that a contended Mutex of Swift's Synchronization keeps. Loaded by bin/sanitize
// in front of libswiftSynchronization.so; no other build knows of it.
//
// An uncontended lock is one atomic exchange, compiled into the program, which ThreadSanitizer sees. A contended one is
// a call of _lockSlow and _unlockSlow in the library, which is not instrumented and waits in the kernel (FUTEX_LOCK_PI):
// what happens before is lost, and two threads that take turns look like a race. Both functions are wrapped here, each
// with the one fact that is missing. Nothing is suppressed: an access without the lock is still a report.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>

// Absent in programs without ThreadSanitizer, such as `swift test`, which load this as well.
__attribute__((weak)) void __tsan_acquire(void *address);
__attribute__((weak)) void __tsan_release(void *address);

#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context))
// Synchronization._MutexHandle._lockSlow(UInt32) -> () and ._unlockSlow() -> ()
#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK_SLOW "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

SWIFT void lock_slow(uint32_t thread, SELF void *mutex) __asm__(LOCK_SLOW);
SWIFT void unlock_slow(SELF void *mutex) __asm__(UNLOCK_SLOW);

static SWIFT void (*library_lock)(uint32_t thread, SELF void *mutex);
static SWIFT void (*library_unlock)(SELF void *mutex);

__attribute__((constructor)) static void find_library(void) {
    *(void **)&library_lock = dlsym(RTLD_NEXT, LOCK_SLOW);
    *(void **)&library_unlock = dlsym(RTLD_NEXT, UNLOCK_SLOW);
}

SWIFT void lock_slow(uint32_t thread, SELF void *mutex) {
    library_lock(thread, mutex);
    if (__tsan_acquire) __tsan_acquire(mutex);
}

SWIFT void unlock_slow(SELF void *mutex) {
    if (__tsan_release) __tsan_release(mutex);
    library_unlock(mutex);
}
