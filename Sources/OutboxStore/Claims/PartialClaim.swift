// A claim as its statement gives it, when not all of its events were read along. Made by ClaimStore, completed by it.

internal import Outbox

/// A claim of which some events are known by their ids only.
public struct PartialClaim: Sendable {
    /// The claim's id, `webhook_claims.id`.
    public let id: Int64
    /// The work whose events were read; of retries in their order.
    var work: [Claim.Work] = []
    /// The rest; of retries in their order.
    var unread: [Unread] = []

    /// One event that was not read.
    struct Unread {
        /// Its place among all of the claim's work, from 0.
        let place: Int
        let id: EventID
        /// For a retry where it goes.
        let target: Claim.Target?
    }

    /// How many events, or retries, the claim holds, less those whose events were found to be gone; 0 when all are.
    public var count: Int { work.count + unread.count }

    /// Where its retries go, in no order; empty for a first fan-out.
    public var targets: [Claim.Target] { work.compactMap(\.target) + unread.compactMap(\.target) }

    init(id: Int64) { self.id = id }

    /// All of the claim's work, less what is not among the events given: retries in their order, events by priority and id.
    func completed(with events: [EventID: Claim.Work]) -> Claim {
        var work = merged(with: events)
        // The log gives them by id, so mostly there is nothing to do.
        let isUnsorted = work.indices.dropFirst().contains { work[$0].event.precedes(work[$0 - 1].event) }
        if isUnsorted, work[0].target == nil {
            work.sort { $0.event.precedes($1.event) }
        }
        return Claim(id: id, work: work)
    }

    private func merged(with events: [EventID: Claim.Work]) -> [Claim.Work] {
        guard !unread.isEmpty else { return work }
        var all: [Claim.Work] = []
        all.reserveCapacity(count)
        var read = work[...]
        var unread = unread[...]
        for place in 0..<count {
            guard let item = unread.first, item.place == place else {
                all.append(read.removeFirst())
                continue
            }
            unread.removeFirst()
            guard let found = events[item.id] else { continue }
            all.append(Claim.Work(event: found.event, isHeavy: found.isHeavy, target: item.target))
        }
        return all
    }
}

extension Event {
    /// Whether it is sent first of two events of one claim.
    fileprivate func precedes(_ other: Event) -> Bool { (priority, id) < (other.priority, other.id) }
}
