// What the work cycle asks for in a turn, and what it gets. Pure; used by the work cycle alone.

internal import OutboxStore

extension WorkCycle {
    /// What to ask for in a turn.
    struct Plan {
        /// Claims of retries name at most so many destinations; 200.
        static let mostDestinations = 200
        /// And ask for at most so many retries of each; 100.
        static let mostRetries = 100

        /// How many more retries may be asked for.
        var room = 0
        var events = 0
        var retries: [(id: Int32, most: Int32)] = []
        var looksAtRetries = false
        /// Permits of rates.
        var rates: [RateDemand] = []
        /// Hands the doorbell on; goes with a look at the queue.
        var relaysBell = false
        var isEmpty: Bool { events == 0 && retries.isEmpty && !looksAtRetries && rates.isEmpty }

        /// Asks for retries of destinations, as long as the worker has room and the claim has places.
        ///
        /// A destination alone may have room for a hundred, and there may be thousands of destinations: their lanes do not
        /// bound what comes into memory.
        ///
        /// - Parameters:
        ///   - destinations: the destinations, those to be served first in front.
        ///   - rooms: how many retries of each could start soon.
        /// - Returns: the destinations for which there is no room. Those that only lack a place come with the next claim.
        mutating func addRetries(of destinations: [Int32], having rooms: [Int]) -> [Int32] {
            var left: [Int32] = []
            for (id, wanted) in zip(destinations, rooms) {
                let share = min(wanted, Self.mostRetries, room)
                if share <= 0 {
                    left.append(id)
                } else if retries.count < Self.mostDestinations {
                    retries.append((id: id, most: Int32(share)))
                    room -= share
                }
            }
            return left
        }
    }

    /// What a turn claimed, as far as it was read along.
    struct Claimed {
        var retries: PartialClaim?
        var events: PartialClaim?
        /// The deliveries of the events that wait in line.
        var enrolled: Set<DeliveryKey> = []
        /// Of the routing.
        var version: Int64?
    }
}
