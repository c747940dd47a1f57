// Three lines for three priorities. Used for the destinations that wait for a turn, and for the events that wait in a lane.

internal import DequeModule

/// Elements of three ranks, each rank first in, first out: 0 high, 1 normal, 2 low.
///
/// High goes before normal before low, but not always: of ``cycle`` turns one begins with low and four with normal, so
/// that none waits forever behind the others.
struct Ranked<Element: Sendable>: Sendable {
    /// Turns until the shares repeat; 16.
    static var cycle: Int { 16 }

    private var high = Deque<Element>()
    private var normal = Deque<Element>()
    private var low = Deque<Element>()
    private var turn = 0

    var count: Int { high.count + normal.count + low.count }
    var isEmpty: Bool { high.isEmpty && normal.isEmpty && low.isEmpty }

    /// All of them, the first ones first.
    var all: [Element] { Array(high) + Array(normal) + Array(low) }

    /// Adds one behind those of its rank; ranks beyond the three count as the nearest.
    mutating func append(_ element: Element, rank: Int) {
        switch rank {
        case ..<1: high.append(element)
        case 1: normal.append(element)
        default: low.append(element)
        }
    }

    /// Takes the next.
    mutating func popFirst() -> Element? {
        // One rank alone is the usual case.
        if high.isEmpty, low.isEmpty { return normal.popFirst() }
        turn = (turn + 1) % Self.cycle
        if turn == 0, let element = low.popFirst() { return element }
        if turn % 4 == 2, let element = normal.popFirst() { return element }
        return high.popFirst() ?? normal.popFirst() ?? low.popFirst()
    }

    /// Takes the last: the youngest of the lowest rank.
    mutating func popLast() -> Element? { low.popLast() ?? normal.popLast() ?? high.popLast() }

    /// Takes the next only if it passes; for companions of what ``popFirst()`` gave.
    mutating func popFirst(where passes: (Element) -> Bool) -> Element? {
        if let first = high.first { return passes(first) ? high.popFirst() : nil }
        if let first = normal.first { return passes(first) ? normal.popFirst() : nil }
        guard let first = low.first, passes(first) else { return nil }
        return low.popFirst()
    }
}
