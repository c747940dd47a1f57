// The thread that waits for all connections, as a place where tasks run and timers ring.

/// The thread on which answers of Postgres arrive.
///
/// A task that mostly waits for Postgres is best run here: its answer is then taken up by the thread that read it, and the
/// next question sent, without waking another thread, which costs more than the rest of a small query.
public enum ConnectionThread {
    /// Runs tasks on the thread: `withTaskExecutorPreference(ConnectionThread.executor) { … }`.
    ///
    /// What runs here must not block and should be short: all connections of the process wait for it meanwhile.
    public static var executor: any TaskExecutor { Reactor.shared }

    /// Calls a closure on the thread after a time, to the microsecond where the kernel can. It cannot be taken back; it
    /// must not block.
    public static func call(after delay: Duration, _ action: @escaping @Sendable () -> Void) {
        Reactor.shared.schedule(at: .after(delay), action)
    }
}
