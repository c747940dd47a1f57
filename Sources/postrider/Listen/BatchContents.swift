// A batch as its receiver sees it: docs/options.md, "Batch".

internal import Outbox

/// The events of a batch, counted by type.
struct BatchContents: Sendable, Equatable {
    /// The type that a batch has in the place of an event's.
    static let type = "batch"
    /// How many types people see.
    private static let shownTypes = 5

    /// How many events there are, at least one.
    let events: Int
    /// How often each type occurs.
    let types: [String: Int]

    /// Reads a parsed body; nil unless it is an array of events with nothing else in it.
    init?(_ body: JSONValue?) {
        guard let elements = body?.elements, !elements.isEmpty else { return nil }
        var types: [String: Int] = [:]
        for element in elements {
            guard let event = element.members, let type = event["type"]?.string, event["id"]?.string != nil,
                event["timestamp"]?.string != nil, event["data"] != nil, event.count == 4
            else { return nil }
            types[type, default: 0] += 1
        }
        events = elements.count
        self.types = types
    }

    /// Types with their counts, the most frequent first.
    var ranked: [(name: String, count: Int)] {
        types.map { (name: $0.key, count: $0.value) }.sorted { ($1.count, $0.name) < ($0.count, $1.name) }
    }

    /// For people: `batch of 3: lead.created ×2, lead.won`.
    var text: String {
        var shown = ranked.prefix(Self.shownTypes).map { $0.count == 1 ? $0.name : "\($0.name) ×\($0.count)" }
        if types.count > Self.shownTypes { shown.append("\(types.count - Self.shownTypes) other types") }
        return "\(Self.type) of \(events): \(shown.joined(separator: ", "))"
    }
}
