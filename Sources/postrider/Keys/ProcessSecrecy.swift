// What a process that holds secrets does so that they do not leave it by accident. Called at the start of every command, by
// `postrider worker` once it has keys.

internal import CProcess
internal import Glibc

/// Keeps the memory of this process to itself.
enum ProcessSecrecy {
    /// Forbids core dumps, and the reading of memory and environment by other processes of the same user. Also gives
    /// crashes back to the system: Swift's own report of a crash prints registers and the memory that they point to.
    ///
    /// - Throws: ``CommandFailure`` when the system refuses.
    static func begin() throws {
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        guard setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none) == 0, postrider_forbid_dumps() else {
            throw CommandFailure.failed("core dumps cannot be forbidden (errno \(errno))")
        }
        for crash in [SIGQUIT, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP] { signal(crash, SIG_DFL) }
    }
}
