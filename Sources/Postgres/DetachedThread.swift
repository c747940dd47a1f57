// A plain thread for calls that can block: name lookups inside PQconnectPoll, PQcancel, and the reactor's loop.

internal import Glibc

/// Starts threads outside of Swift's cooperative pool, whose few threads must never block.
enum DetachedThread {
    /// Runs a closure on a new thread; the thread ends with it.
    ///
    /// - Parameter body: what to run.
    /// - Returns: false when the system has no thread left; the closure is then never run.
    static func start(_ body: @escaping @Sendable () -> Void) -> Bool {
        let work = Unmanaged.passRetained(Work(body))
        var thread = pthread_t()
        let status = pthread_create(&thread, nil, entry, work.toOpaque())
        guard status == 0 else {
            work.release()
            return false
        }
        pthread_detach(thread)
        return true
    }

    /// What a new thread is given.
    private final class Work: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// The C entry point: takes the work over and runs it.
    private static let entry: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { argument in
        guard let argument else { return nil }
        Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().body()
        return nil
    }
}
