// A claim as its statement gives it, when not all of its events were read along. Made by ClaimStore, completed by it.

internal import Outbox

/// A claim of which some events are known by their ids only.
public struct PartialClaim: Sendable {
    /// The claim's id, `webhook_claims.id`.
    public let id: Int64
    /// The work whose events were read, in order.
    var work: [Claim.Work] = []
    /// The rest, in order.
    var unread: [Unread] = []

    /// One event that was not read.
    struct Unread {
        /// Its place among all of the claim's work, from 0.
        let place: Int
        let id: EventID
        /// For a retry where it goes.
        let target: Claim.Target?
    }

    /// How many events, or retries, the claim holds; at least 1.
    public var count: Int { work.count + unread.count }

    /// Where its retries go, in no order; empty for a first fan-out.
    public var targets: [Claim.Target] { work.compactMap(\.target) + unread.compactMap(\.target) }

    init(id: Int64) { self.id = id }

    /// All of the claim's work in its order, less what is not among the events given.
    func completed(with events: [EventID: Claim.Work]) -> Claim {
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
        return Claim(id: id, work: all)
    }
}
