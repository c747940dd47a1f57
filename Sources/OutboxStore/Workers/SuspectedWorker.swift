// A worker that may be dead. Told by the watch of WorkerStore, given to RescueStore.

/// Another worker that missed its heartbeats, as it was seen.
public struct SuspectedWorker: Sendable, Hashable {
    /// The worker, `webhook_workers.id`.
    public let id: Int64
    /// Its epoch when it was seen; a takeover fails when somebody else was faster.
    public let epoch: Int32

    /// Makes a suspect.
    public init(id: Int64, epoch: Int32) {
        self.id = id
        self.epoch = epoch
    }
}
