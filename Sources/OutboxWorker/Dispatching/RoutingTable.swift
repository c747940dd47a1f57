// Which destinations an event goes to. Built from the store's routing when its version moves; read by the dispatcher.

internal import Outbox
internal import OutboxStore

/// All destinations, ready to be matched.
struct RoutingTable: Sendable {
    /// The version it was loaded at.
    let version: Int64
    private let table: SubscriptionTable
    private let byID: [Int32: Destination]
    private let keptBytes: [Int32: Int]
    /// Destinations whose secrets this worker cannot open: their deliveries are left to other workers.
    let locked: Set<Int32>

    init(_ routing: Routing) {
        version = routing.version
        table = SubscriptionTable(routing.destinations)
        byID = Dictionary(uniqueKeysWithValues: routing.destinations.map { ($0.id, $0) })
        keptBytes = routing.keptResponseBytes
        locked = routing.locked
    }

    /// The destination of that id; nil when it was deleted.
    subscript(id: Int32) -> Destination? { byID[id] }

    /// How much of an answer's body a destination keeps.
    func keptBytes(of id: Int32) -> Int { keptBytes[id] ?? 0 }

    /// The destinations subscribed to an event, inactive ones among them.
    func destinations(for event: Event) -> [Destination] {
        table.matches(type: event.type, organization: event.organization, user: event.user)
            .map { table.destinations[$0] }
    }
}
