// What only some destinations use, out of the column `options`. Made by the store with the destination; docs/options.md
// lists every key, and `option_fault` in SQL knows the same names.

/// The options of a destination. Each is nil or false when it is not given, and costs nothing then.
public struct DeliveryOptions: Sendable, Equatable {
    /// Whether events of one ordering key are delivered strictly one after the other.
    public var isOrdered = false
    /// How often requests may be sent, by all workers together; nil for no limit.
    public var rate: RateLimit?
    /// How many events go into one request; nil for one event a request.
    public var batch: BatchLimits?
    /// Whose turn is first when there is more to send than may be sent at once: 0 high, 1 normal, 2 low.
    public var priority = 1
    /// Whether its dead letters are critical. The database marks them; workers need not know.
    public var isCritical = false
    /// Which payloads it wants; nil for all.
    public var filter: PayloadFilter?
    /// What of a payload it gets; nil for all of it.
    public var template: PayloadTemplate?
    /// The function in SQL that makes its payloads, `schema.name`; after the template when there are both. Nil for none.
    public var transformFunction: String?
    /// How the destination is reached; boxed, because few have it and all have room for it.
    private var accessBox: AccessBox?

    /// No options.
    public static let none = DeliveryOptions()

    /// No options.
    public init() {}

    /// Reads the JSON object of the column `options`.
    ///
    /// - Throws: `OptionError` that names the option and what is wrong with it.
    public init(parsing text: [UInt8]) throws(OptionError) {
        guard case .object(let members) = try JSONValue(parsing: text) else {
            throw OptionError("options must be a JSON object")
        }
        try self.init(members)
    }

    /// Reads the members of such an object.
    ///
    /// - Throws: `OptionError` as ``init(parsing:)``.
    public init(_ members: [String: JSONValue]) throws(OptionError) {
        for (name, value) in members.sorted(by: { $0.key < $1.key }) {
            do { try set(name, value) } catch { throw OptionError("option \(name): \(error.reason)") }
        }
    }

    /// Reads one option, as the command line gets it.
    ///
    /// - Throws: `OptionError`.
    public init(name: String, value: JSONValue) throws(OptionError) {
        try set(name, value)
    }

    private mutating func set(_ name: String, _ value: JSONValue) throws(OptionError) {
        switch name {
        case "order": isOrdered = try value.bool()
        case "rate": rate = try RateLimit(value)
        case "batch": batch = try BatchLimits(value)
        case "priority":
            guard let rank = ["high", "normal", "low"].firstIndex(of: try value.string()) else {
                throw OptionError("expected high, normal or low")
            }
            priority = rank
        case "critical": isCritical = try value.bool()
        case "filter": filter = try PayloadFilter(value)
        case "transform": template = try PayloadTemplate(value)
        case "transform_function": transformFunction = try Self.function(value)
        case "auth": try setAccess(\.authentication, AuthOption(value))
        case "tls": try setAccess(\.identity, IdentityOption(value))
        case "proxy": try setAccess(\.proxy, ProxyOption(value))
        default: throw OptionError("there is no such option")
        }
    }
}

extension DeliveryOptions {
    /// Whether payloads must be looked into, or changed, before they are sent.
    public var readsPayload: Bool { filter != nil || template != nil || transformFunction != nil }

    /// The name of a function: whether it may be called, Postgres tells when it is.
    private static func function(_ value: JSONValue) throws(OptionError) -> String {
        let name = try value.string()
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count >= 2, !parts.contains(where: \.isEmpty), name.utf8.count <= 200 else {
            throw OptionError("expected the name of a function with its schema, such as \"sales.shape_lead\"")
        }
        return name
    }

    fileprivate final class AccessBox: Sendable, Equatable {
        let options: AccessOptions
        init(_ options: AccessOptions) { self.options = options }
        static func == (left: AccessBox, right: AccessBox) -> Bool { left.options == right.options }
    }

    /// The options `auth`, `tls` and `proxy`; nil when none is given.
    var accessOptions: AccessOptions? { accessBox?.options }

    private mutating func setAccess<Value>(_ member: WritableKeyPath<AccessOptions, Value>, _ value: Value) {
        var options = accessOptions ?? AccessOptions()
        options[keyPath: member] = value
        accessBox = AccessBox(options)
    }
}

/// Why options cannot be used.
public struct OptionError: Error, Equatable, CustomStringConvertible {
    /// What is wrong, in one line; quotes no value that may be a secret.
    public let reason: String

    /// Makes an error.
    public init(_ reason: String) { self.reason = reason }

    /// The reason.
    public var description: String { reason }
}

extension JSONValue {
    /// The value as a boolean.
    ///
    /// - Throws: `OptionError` when it is none; so do the others.
    func bool() throws(OptionError) -> Bool {
        guard case .bool(let value) = self else { throw OptionError("expected true or false") }
        return value
    }

    /// The value as a string.
    func string() throws(OptionError) -> String {
        guard case .string(let value) = self else { throw OptionError("expected a string") }
        return value
    }

    /// The value as a number.
    func number() throws(OptionError) -> Double {
        guard case .number(let value, _) = self else { throw OptionError("expected a number") }
        return value
    }

    /// The value as a number within a range.
    func number(in range: ClosedRange<Double>) throws(OptionError) -> Double {
        guard case .number(let value, _) = self, range.contains(value) else {
            throw OptionError("expected a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    /// The value as a whole number within a range.
    func int(in range: ClosedRange<Int>) throws(OptionError) -> Int {
        guard case .number(_, let text) = self, let value = Int(text), range.contains(value) else {
            throw OptionError("expected a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    /// The members of an object that has no others than these names.
    func members(_ names: Set<String>) throws(OptionError) -> [String: JSONValue] {
        guard case .object(let members) = self else { throw OptionError("expected an object") }
        if let unknown = members.keys.sorted().first(where: { !names.contains($0) }) {
            throw OptionError(
                "unknown key \(unknown.debugDescription); known are \(names.sorted().joined(separator: ", "))")
        }
        return members
    }
}
