// Which of several finders of a claim takes it into memory. Called by the dispatcher.

internal import OutboxStore

extension DispatchState {
    /// Holds a claim before anything of it is here, so that it is taken into memory once.
    ///
    /// The work cycle, a rescue and a sweep may find the same claim while its events are still being read.
    ///
    /// - Returns: false when the claim is held, open, or finished and not recorded yet.
    mutating func adopt(claim: Int64, now: Int64) -> Bool {
        let isKnown =
            openClaims.contains(claim) || settlement.finishedClaims.contains(claim) || beingRecorded.contains(claim)
        guard !isKnown else { return false }
        open(claim: claim, now: now)
        return true
    }

    /// Ends the hold of a claim of which nothing came into memory. It is not finished: whoever finds it next may adopt it.
    mutating func abandon(claim: Int64) { _ = openClaims.unhold(claim) }
}
