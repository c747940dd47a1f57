// The lanes of all destinations that have work or are remembered, so that a delivery looks for its lane once. Used by
// DispatchState alone.

internal import Outbox

/// Lanes by the id of their destination.
///
/// Whoever works on a lane asks for its place once and goes on with ``all``: reading or changing `dictionary[id]?.member`
/// hashes the id and copies or moves the whole lane each time, which was 15,000 of 188,000 instructions of a delivery. A place
/// is good until lanes are added or forgotten.
struct LaneTable: Sendable {
    private var places: [Int32: Int] = [:]
    /// The lanes in no particular order.
    var all: [Lane] = []

    /// Where the lane of a destination stands; nil when there is none.
    func place(of id: Int32) -> Int? { places[id] }

    /// Whether a destination has a lane.
    func contains(_ id: Int32) -> Bool { places[id] != nil }

    /// A copy of a destination's lane, for what happens seldom; nil when there is none.
    subscript(id: Int32) -> Lane? { places[id].map { all[$0] } }

    /// Adds the lane of a destination that has none, and gives its place.
    mutating func add(_ lane: Lane) -> Int {
        places[lane.destination.id] = all.count
        all.append(lane)
        return all.count - 1
    }

    /// Forgets all lanes that do not pass.
    mutating func keep(where passes: (Lane) -> Bool) {
        all.removeAll { !passes($0) }
        places = Dictionary(uniqueKeysWithValues: all.enumerated().map { ($0.element.destination.id, $0.offset) })
    }
}
