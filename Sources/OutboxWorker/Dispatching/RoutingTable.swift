// Which destinations an event goes to. Built from the store's routing when its version moves; read by the dispatcher.

internal import HTTPExchange
internal import Outbox
internal import OutboxStore

/// All destinations, ready to be matched.
///
/// A change of a few destinations is laid over what is there: with a hundred thousand of them building everything anew
/// takes a good part of a second, and somebody changes one all the time.
struct RoutingTable: Sendable {
    /// So many changed destinations are laid over before everything is built anew; 1,000.
    static let mostOverlaid = 1000

    /// The version it was loaded at.
    let version: Int64
    /// How often versions were lost before it: after a failover the new primary may lack the last ones, and counts on from
    /// lower ones.
    let line: Int
    /// When, by the database's clock, in microseconds since 2000.
    let loadedAt: Int64
    private let base: SubscriptionTable
    /// Those that changed since `base` was built, and do not count there any more.
    private let overlay: SubscriptionTable
    private let overlaid: Set<Int32>
    private let byID: [Int32: Destination]
    private let keptResponseBytes: [Int32: Int]
    /// Destinations whose secrets this worker cannot open: their deliveries are left to other workers.
    let locked: Set<Int32>
    /// Whether a destination keeps the order of keys.
    let keepsOrder: Bool
    /// Whether any destination looks into payloads or changes them.
    let readsPayloads: Bool
    /// Ways to the destinations that have one of their own.
    private let routes: [Int32: Route]

    /// A load of everything. Where little changed since what was there, the rest of that is kept.
    ///
    /// - Parameter old: what was there when the load began.
    init(_ routing: Routing, following old: RoutingTable? = nil) {
        guard let old else {
            self.init(
                routing, line: 0, destinations: routing.destinations, kept: routing.keptResponseBytes,
                locked: routing.locked)
            return
        }
        // Nobody counts back: a lower version that was asked for later is one of a new line.
        let line = routing.version < old.version ? old.line + 1 : old.line
        self = old.changed(
            routing, old.changes(in: routing), line: line, kept: routing.keptResponseBytes, locked: routing.locked,
            isWhole: true)
    }

    /// The ids of destinations that are others in a load of everything, or not there any more.
    private func changes(in routing: Routing) -> [Int32] {
        let changed = routing.destinations.filter { byID[$0.id] !== $0 }.map(\.id)
        guard routing.destinations.count - changed.count < byID.count else { return changed }
        let there = Set(routing.destinations.map(\.id))
        return changed + byID.keys.filter { !there.contains($0) }
    }

    /// Everything built anew, at the version of a load.
    private init(
        _ routing: Routing, line: Int, destinations: [Destination], kept: [Int32: Int], locked: Set<Int32>
    ) {
        version = routing.version
        self.line = line
        loadedAt = routing.loadedAt
        base = SubscriptionTable(destinations)
        overlay = SubscriptionTable([])
        overlaid = []
        byID = Dictionary(uniqueKeysWithValues: destinations.map { ($0.id, $0) })
        keptResponseBytes = kept
        self.locked = locked
        routes = Self.routes(to: destinations)
        keepsOrder = destinations.contains(where: \.options.isOrdered)
        readsPayloads = destinations.contains(where: \.options.readsPayload)
    }

    private static func routes(to destinations: [Destination]) -> [Int32: Route] {
        Dictionary(uniqueKeysWithValues: destinations.compactMap { one in Route(one.access).map { (one.id, $0) } })
    }

    /// The same with some destinations as they are now.
    ///
    /// - Parameters:
    ///   - routing: a load of these alone; what it does not hold was deleted.
    ///   - changes: their ids.
    func changed(_ routing: Routing, _ changes: [Int32]) -> RoutingTable {
        var kept = keptResponseBytes
        for id in changes { kept[id] = nil }
        kept.merge(routing.keptResponseBytes) { $1 }
        return changed(
            routing, changes, line: line, kept: kept, locked: locked.subtracting(changes).union(routing.locked),
            isWhole: false)
    }

    /// Changes laid over what is there, or everything built anew when they are too many.
    ///
    /// - Parameter isWhole: whether the load holds every destination, so that it tells what none of them asks for any more.
    private func changed(
        _ routing: Routing, _ changes: [Int32], line: Int, kept: [Int32: Int], locked: Set<Int32>, isWhole: Bool
    ) -> RoutingTable {
        var byID = byID
        for id in changes { byID[id] = nil }
        for destination in routing.destinations { byID[destination.id] = destination }
        let overlaid = overlaid.union(changes)
        guard overlaid.count <= Self.mostOverlaid else {
            return RoutingTable(
                routing, line: line, destinations: byID.values.sorted { $0.id < $1.id }, kept: kept, locked: locked)
        }
        return RoutingTable(
            self, routing, line: line, overlaid: overlaid, byID: byID, kept: kept, locked: locked, isWhole: isWhole)
    }

    private init(
        _ old: RoutingTable, _ routing: Routing, line: Int, overlaid: Set<Int32>, byID: [Int32: Destination],
        kept: [Int32: Int], locked: Set<Int32>, isWhole: Bool
    ) {
        version = routing.version
        self.line = line
        loadedAt = routing.loadedAt
        base = old.base
        overlay = SubscriptionTable(overlaid.sorted().compactMap { byID[$0] })
        self.overlaid = overlaid
        self.byID = byID
        keptResponseBytes = kept
        self.locked = locked
        routes = old.routes.filter { byID[$0.key] === old.byID[$0.key] }
            .merging(Self.routes(to: routing.destinations)) { $1 }
        keepsOrder = !isWhole && old.keepsOrder || routing.destinations.contains(where: \.options.isOrdered)
        readsPayloads = !isWhole && old.readsPayloads || routing.destinations.contains(where: \.options.readsPayload)
    }

    /// Whether it tells of earlier times than another one.
    func isOlder(than other: RoutingTable) -> Bool { (line, version) < (other.line, other.version) }

    /// The way to a destination; nil for the straight one.
    func route(to id: Int32) -> Route? { routes.isEmpty ? nil : routes[id] }

    /// The destination of that id; nil when it was deleted.
    subscript(id: Int32) -> Destination? { byID[id] }

    /// How much of an answer's body a destination keeps.
    func keptBytes(of id: Int32) -> Int { keptResponseBytes[id] ?? 0 }

    /// The destinations subscribed to an event, inactive ones among them.
    func destinations(for event: Event) -> [Destination] {
        let matches = base.matches(type: event.type, organization: event.organization, user: event.user)
            .map { base.destinations[$0] }
        guard !overlaid.isEmpty else { return matches }
        let changed = overlay.matches(type: event.type, organization: event.organization, user: event.user)
        return matches.filter { !overlaid.contains($0.id) } + changed.map { overlay.destinations[$0] }
    }
}
