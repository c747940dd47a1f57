// Starting a child that cannot outlive its parent. The driver calls it: Swift offers no fork, and posix_spawn cannot
// ask for a signal at the parent's death.

#include "support.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

int bench_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

static void become(const char *program, char *const arguments[], char *const environment[], int output, int error) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    // Its own group: Ctrl-C reaches the driver alone, which then ends its children in order.
    setpgid(0, 0);
    dup2(output, STDOUT_FILENO);
    dup2(error, STDERR_FILENO);
    execve(program, arguments, environment);
}

pid_t bench_spawn(const char *program, char *const arguments[], char *const environment[], int output, int error) {
    pid_t parent = getpid();
    pid_t child = fork();
    if (child != 0) return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    // The parent may have died before the request above.
    if (getppid() == parent) become(program, arguments, environment, output, error);
    _exit(127);
}
