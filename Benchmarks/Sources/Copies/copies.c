// Counts large allocations and copies of a process into which it is loaded before all other libraries (LD_PRELOAD).
//
// Seen is what libraries and the program call in libc. Not seen: what libc does inside itself, copies that the compiler
// wrote out in place of a call (a few dozen bytes), loops, and what the kernel copies, of which the bytes of recv and send
// are counted. Compiled with -fno-builtin, so that the loops below do not become calls of the functions they stand for.

#include "copies.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

// The allocator of glibc under names that nobody replaces. dlsym would allocate before it could be found.
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static struct bench_copies nowhere = {.least = UINT64_MAX};
static struct bench_copies *counters = &nowhere;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("BENCH_COPIES_FILE");
    int file = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (file < 0) return;
    void *map = mmap(NULL, sizeof *counters, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (map != MAP_FAILED) counters = map;
    close(file);
}

static void add(uint64_t *counter, uint64_t amount) { __atomic_fetch_add(counter, amount, __ATOMIC_RELAXED); }

static void count_allocation(size_t size) {
    if (size < counters->least) return;
    add(&counters->allocations, 1);
    add(&counters->allocated_bytes, size);
}

static void count_copy(size_t size) {
    if (size < counters->least) return;
    add(&counters->copies, 1);
    add(&counters->copied_bytes, size);
}

void *malloc(size_t size) {
    count_allocation(size);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    count_allocation(count * size);
    return __libc_calloc(count, size);
}

void *realloc(void *block, size_t size) {
    count_allocation(size);
    size_t old = block == NULL ? 0 : malloc_usable_size(block);
    uintptr_t before = (uintptr_t)block;
    void *moved = __libc_realloc(block, size);
    // Blocks with a mapping of their own move without being copied; they count all the same.
    if (before != 0 && moved != NULL && (uintptr_t)moved != before) count_copy(old < size ? old : size);
    return moved;
}

void *memalign(size_t alignment, size_t size) {
    count_allocation(size);
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **result, size_t alignment, size_t size) {
    if (alignment % sizeof(void *) != 0 || (alignment & (alignment - 1)) != 0 || alignment == 0) return EINVAL;
    void *block = memalign(alignment, size);
    if (block == NULL) return ENOMEM;
    *result = block;
    return 0;
}

// A word at a time, which may be anywhere: packed, and no alias of what the caller thinks it is.
struct word {
    uint64_t value;
} __attribute__((packed, may_alias));

static void up(unsigned char *to, const unsigned char *from, size_t size) {
    for (; size >= sizeof(struct word); size -= sizeof(struct word)) {
        *(struct word *)to = *(const struct word *)from;
        to += sizeof(struct word);
        from += sizeof(struct word);
    }
    for (; size > 0; size--) *to++ = *from++;
}

static void down(unsigned char *to, const unsigned char *from, size_t size) {
    for (; size >= sizeof(struct word); size -= sizeof(struct word)) {
        *(struct word *)(to + size - sizeof(struct word)) = *(const struct word *)(from + size - sizeof(struct word));
    }
    while (size-- > 0) to[size] = from[size];
}

void *memmove(void *to, const void *from, size_t size) {
    count_copy(size);
    if ((uintptr_t)to - (uintptr_t)from >= size) {
        up(to, from, size);
    } else {
        down(to, from, size);
    }
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t size) { return memmove(to, from, size); }

void *mempcpy(void *restrict to, const void *restrict from, size_t size) {
    return (char *)memmove(to, from, size) + size;
}

// What calls become that were compiled with _FORTIFY_SOURCE; libpq's and libcurl's are.
void *__memcpy_chk(void *restrict to, const void *restrict from, size_t size, size_t room) {
    if (size > room) abort();
    return memmove(to, from, size);
}

void *__memmove_chk(void *to, const void *from, size_t size, size_t room) {
    if (size > room) abort();
    return memmove(to, from, size);
}

void *__mempcpy_chk(void *restrict to, const void *restrict from, size_t size, size_t room) {
    if (size > room) abort();
    return mempcpy(to, from, size);
}

static ssize_t counted(uint64_t *counter, ssize_t size) {
    if (size > 0) add(counter, (uint64_t)size);
    return size;
}

ssize_t recv(int socket, void *bytes, size_t size, int flags) {
    return counted(&counters->received_bytes, recvfrom(socket, bytes, size, flags, NULL, NULL));
}

ssize_t read(int file, void *bytes, size_t size) {
    return counted(&counters->received_bytes, syscall(SYS_read, file, bytes, size));
}

ssize_t send(int socket, const void *bytes, size_t size, int flags) {
    return counted(&counters->sent_bytes, sendto(socket, bytes, size, flags, NULL, 0));
}

ssize_t write(int file, const void *bytes, size_t size) {
    return counted(&counters->sent_bytes, syscall(SYS_write, file, bytes, size));
}

ssize_t sendmsg(int socket, const struct msghdr *message, int flags) {
    return counted(&counters->sent_bytes, syscall(SYS_sendmsg, socket, message, flags));
}
