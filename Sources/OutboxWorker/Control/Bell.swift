// Whether this worker wishes to hold the doorbell. The work cycle wishes, the control task acts.

internal import Synchronization

/// The wish to hold the doorbell lock, and a stream that tells of changes.
final class Bell: Sendable {
    private let wish = Mutex(false)
    private let entrance: AsyncStream<Bool>.Continuation
    /// Every change of the wish, the newest last; read by one task.
    let changes: AsyncStream<Bool>

    init() { (changes, entrance) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1)) }

    /// States the wish; told on only when it changes.
    func want(held: Bool) {
        let isNew = wish.withLock { wish in
            defer { wish = held }
            return wish != held
        }
        if isNew { entrance.yield(held) }
    }

    /// The wish as it is now.
    var isWanted: Bool { wish.withLock { $0 } }
}
