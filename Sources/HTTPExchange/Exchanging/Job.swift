// What is here: a request on its way through the loop, and where its outcome goes.
// Called by: Exchanger, which makes them; Loop, which carries them out.

/// Where the outcome of one request goes: into the batch, or to the task that awaits it.
struct Reply: Sendable {
    /// Names the awaiting task for its cancellation.
    let id: UInt64
    /// Resumed exactly once.
    let continuation: CheckedContinuation<Exchange, Never>
}

/// A request on its way through the loop; `reply` is nil for submitted ones.
struct Job: Sendable {
    let request: Request
    let reply: Reply?
}
