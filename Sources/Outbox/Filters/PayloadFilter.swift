// Which payloads a destination wants. Read from the option `filter`, asked by the routing table of the worker for each event
// that a destination with a filter is subscribed to. docs/options.md tells the rules.

/// A condition on payloads.
///
/// A class, so that a destination without one pays eight bytes.
public final class PayloadFilter: Sendable, Equatable {
    /// The most conditions of one filter; 256.
    public static let mostConditions = 256

    let rules: [FilterRule]

    /// Reads a filter.
    ///
    /// - Throws: `OptionError` that names the place of the fault.
    public init(_ value: JSONValue) throws(OptionError) {
        var reader = FilterReader()
        rules = try reader.rules(value, at: "")
    }

    /// Reads a filter's text.
    ///
    /// - Throws: `OptionError`.
    public convenience init(parsing text: [UInt8]) throws(OptionError) { try self.init(JSONValue(parsing: text)) }

    /// Whether a payload passes.
    public func matches(_ payload: ParsedPayload) -> Bool { rules.allSatisfy { $0.holds(in: payload.document) } }

    /// The place in the filter of the first condition that a payload does not meet, such as `any` or `"customer.age"`; nil
    /// when it passes.
    public func fault(of payload: ParsedPayload) -> String? {
        for rule in rules { if let place = rule.fault(in: payload.document) { return place } }
        return nil
    }

    /// Equal when they read the same.
    public static func == (left: PayloadFilter, right: PayloadFilter) -> Bool { left.rules == right.rules }
}

/// One member of a filter.
indirect enum FilterRule: Sendable, Equatable {
    /// Every rule of some list of the filters holds.
    case any([[FilterRule]], place: String)
    /// Every rule of every list holds.
    case all([[FilterRule]])
    /// Of no list every rule holds.
    case none([[FilterRule]], place: String)
    /// Something of one path.
    case condition(FilterCondition)

    func holds(in document: JSONDocument) -> Bool {
        switch self {
        case .any(let filters, _): filters.contains { $0.allSatisfy { $0.holds(in: document) } }
        case .all(let filters): filters.allSatisfy { $0.allSatisfy { $0.holds(in: document) } }
        case .none(let filters, _): !filters.contains { $0.allSatisfy { $0.holds(in: document) } }
        case .condition(let condition): condition.holds(in: document)
        }
    }

    func fault(in document: JSONDocument) -> String? {
        switch self {
        case .any(_, let place), .none(_, let place): holds(in: document) ? nil : place
        case .all(let filters): filters.joined().lazy.compactMap { $0.fault(in: document) }.first
        case .condition(let condition): condition.holds(in: document) ? nil : condition.place
        }
    }
}
