// Asks the server to stop a query. Made by Session, run by Connection on a thread.

internal import CLibPQ

/// A request to stop what a connection is doing (`PQgetCancel`, `PQcancel`).
///
/// `PQcancel` opens a connection of its own and waits until the server closes it, by which time the signal has been
/// sent. It blocks, without limit when the server is stopped, so it has a thread to itself.
final class Cancellation: @unchecked Sendable {
    // @unchecked: the PGcancel is used by one thread, which frees it; libpq allows that beside any use of the PGconn.

    private let request: OpaquePointer
    /// The job it is about, nil when the connection was given up and nobody waits.
    let job: Job?

    /// Prepares a request; call it under the connection's lock.
    ///
    /// - Returns: nil when the connection is not open or memory is short.
    init?(_ handle: OpaquePointer, job: Job?) {
        guard let request = PQgetCancel(handle) else { return nil }
        self.request = request
        self.job = job
    }

    deinit { PQfreeCancel(request) }

    /// Sends the request on a thread.
    ///
    /// - Parameter returned: called when the server has taken or refused it, or no thread could be had.
    func send(_ returned: @escaping @Sendable () -> Void) {
        let started = DetachedThread.start {
            var complaint = [CChar](repeating: 0, count: 256)
            // A refusal needs no answer: the grace period ends the connection when the query goes on.
            _ = PQcancel(self.request, &complaint, Int32(complaint.count))
            returned()
        }
        if !started { returned() }
    }
}
