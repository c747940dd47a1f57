// What a rescue needs of whoever holds claims in memory: the life of a worker does, with its dispatcher.

/// Who takes claims into memory: at most one of several that find the same claim at the same time.
public protocol ClaimHolder: Sendable {
    /// Holds a claim, so that nobody else takes it, until it is accepted or abandoned.
    ///
    /// - Returns: false when it is held or known already; the claim must be left alone then.
    func adopt(claim: Int64) -> Bool

    /// Gives up the hold of a claim that could not be loaded, so that it is found again.
    func abandon(claim: Int64)

    /// Takes an adopted claim into memory.
    func accept(_ rescue: Rescue)
}
