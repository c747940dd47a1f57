// How many files and sockets a worker may have open. Called by `postrider worker`.

internal import Glibc
internal import Logging

/// The limit of open descriptors of this process.
enum Descriptors {
    /// As many as a worker can use: what is asked for of a limit without bounds.
    private static let most: rlim_t = 65_536

    /// Raises the soft limit as far as the hard one allows. Connections are kept open for later requests, and one that finds no
    /// descriptor has to wait for its next attempt.
    ///
    /// - Parameters:
    ///   - needed: connections that may be open at once.
    ///   - logger: told when the limit is below what these need, or cannot be raised.
    static func raise(for needed: Int, _ logger: Logger) {
        let kind = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        var limit = rlimit()
        guard getrlimit(kind, &limit) == 0 else {
            return logger.warning("the limit of open files cannot be read", metadata: ["errno": "\(errno)"])
        }
        let wanted = max(limit.rlim_cur, min(limit.rlim_max, most))
        if wanted > limit.rlim_cur {
            limit.rlim_cur = wanted
            guard setrlimit(kind, &limit) == 0 else {
                return logger.warning("the limit of open files cannot be raised", metadata: ["errno": "\(errno)"])
            }
        }
        // Idle connections beside the busy ones, lookups that hang, and what the process opens otherwise.
        let enough = rlim_t(2 * needed + 2 * 256 + 200)
        guard limit.rlim_cur < enough else { return }
        logger.warning(
            "few open files are allowed: connections may fail for want of one",
            metadata: [
                "limit": "\(limit.rlim_cur)", "enough": "\(enough)", "cure": "ulimit -n, or LimitNOFILE= of systemd",
            ])
    }
}
