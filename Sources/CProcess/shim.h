/* What the commands see of C beyond Swift's Glibc module: prctl(2), which has variable arguments, fstatfs(2), standard output as
 * a stream (stdio(3)), and a part of posix_spawn(3) that spawn.h shows only with _GNU_SOURCE. */
#ifndef POSTRIDER_CPROCESS_SHIM_H
#define POSTRIDER_CPROCESS_SHIM_H

#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/vfs.h>

/* PR_SET_DUMPABLE 0: no core dump, and /proc/<pid>/environ and /proc/<pid>/mem belong to root. True when done. */
static inline bool postrider_forbid_dumps(void) { return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0; }

/* Whether an open file lies in memory (tmpfs or ramfs, by their numbers in statfs(2)). */
static inline bool postrider_is_in_memory(int descriptor) {
    struct statfs system;
    return fstatfs(descriptor, &system) == 0 && (system.f_type == 0x01021994 || system.f_type == 0x858458f6);
}

/* Writes what is left of standard output. True when all of it was taken; what once failed is not forgotten. */
static inline bool postrider_finish_output(void) { return fflush(stdout) == 0 && !ferror(stdout); }

/* Closes all descriptors from one on in the process that is made (glibc 2.34). */
int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int from);

#endif
