// Spreads a connection's notifications over all streams that were asked for. Owned by Connection.

internal import Synchronization

/// The open notification streams of one connection.
final class NotificationHub: Sendable {
    private struct State {
        var streams: [Int: AsyncStream<Notification>.Continuation] = [:]
        var lastStream = 0
        var isFinished = false
    }

    private let state = Mutex(State())

    /// How many notifications wait for a slow reader of one stream; beyond that the oldest are dropped.
    static let capacity = 4096

    /// A new stream of everything that arrives from now on; already finished when the connection has ended.
    func stream() -> AsyncStream<Notification> {
        AsyncStream(bufferingPolicy: .bufferingNewest(Self.capacity)) { continuation in
            let key = state.withLock { state -> Int? in
                if state.isFinished { return nil }
                state.lastStream += 1
                state.streams[state.lastStream] = continuation
                return state.lastStream
            }
            guard let key else { return continuation.finish() }
            continuation.onTermination = { [weak self] _ in self?.drop(key) }
        }
    }

    /// Gives notifications to every stream.
    func send(_ notifications: [Notification]) {
        let streams = state.withLock { Array($0.streams.values) }
        for notification in notifications {
            for stream in streams { stream.yield(notification) }
        }
    }

    /// Ends all streams, now and to come.
    func finish() {
        // Finishing calls onTermination, which takes the lock: do it outside.
        let streams = state.withLock { state in
            state.isFinished = true
            defer { state.streams = [:] }
            return Array(state.streams.values)
        }
        streams.forEach { $0.finish() }
    }

    /// Forgets a stream whose reader has gone.
    private func drop(_ key: Int) {
        state.withLock { _ = $0.streams.removeValue(forKey: key) }
    }
}
