// One JSON document from the database, as rows of tables and as output for machines.

internal import Foundation

/// A JSON object: what a request of an administrator gives for each row.
struct Record {
    let text: String
    private let members: [String: Any]

    /// Parses what the database gave.
    init(_ bytes: [UInt8]) throws {
        text = String(decoding: bytes, as: UTF8.self)
        members = try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any] ?? [:]
    }

    /// The same with another text in one member.
    ///
    /// - Throws: nothing that happens: what was parsed can be written.
    func replacing(_ name: String, with value: String?) throws -> Record {
        var members = members
        members[name] = value ?? NSNull()
        return try Record([UInt8](JSONSerialization.data(withJSONObject: members, options: [.sortedKeys])))
    }

    private init(members: [String: Any]) {
        self.members = members
        text = ""
    }

    /// A record of a command's own; members that are nil are null.
    ///
    /// - Throws: nothing that happens with texts, numbers, truth values and lists of them.
    init(members: [String: Any?]) throws {
        let object = members.mapValues { $0 ?? NSNull() }
        try self.init([UInt8](JSONSerialization.data(withJSONObject: object, options: [.sortedKeys])))
    }

    /// A member as a person reads it: empty for null, lists with commas, times to the second.
    subscript(name: String) -> String { Self.readable(members[name]) }

    /// The names of its members, in order.
    var names: [String] { members.keys.sorted() }

    /// A number; nil for null and other types.
    func number(_ name: String) -> Double? { (members[name] as? NSNumber)?.doubleValue }

    /// An instant; nil for null and other forms than that of Postgres.
    func date(_ name: String) -> Date? {
        return (members[name] as? String).flatMap { Self.time($0) }
    }

    /// An instant of ISO 8601 with or without a fraction of a second; nil for other texts.
    static func time(_ text: String) -> Date? {
        let style = Date.ISO8601FormatStyle().year().month().day().timeZone(separator: .colon)
        return (try? style.time(includingFractionalSeconds: true).parse(text))
            ?? (try? style.time(includingFractionalSeconds: false).parse(text))
    }

    /// A truth value; false for everything else.
    func isTrue(_ name: String) -> Bool { (members[name] as? NSNumber)?.boolValue == true }

    /// The objects of a list.
    func records(_ name: String) -> [Record] {
        (members[name] as? [[String: Any]] ?? []).map { Record(members: $0) }
    }

    /// Whether there is a member of that name.
    func has(_ name: String) -> Bool { members[name] != nil }

    /// A member object.
    func record(_ name: String) -> Record { Record(members: members[name] as? [String: Any] ?? [:]) }

    /// A member object as it is, to be sent back.
    func members(_ name: String) -> [String: Any] { members[name] as? [String: Any] ?? [:] }

    private static func readable(_ value: Any?) -> String {
        switch value {
        case nil, is NSNull: ""
        case let text as String: isTime(text) ? text.prefix(19).replacingOccurrences(of: "T", with: " ") : text
        case let list as [Any]: list.map { readable($0) }.joined(separator: ",")
        case let number as NSNumber where CFBoolean.isBoolean(number): number.boolValue ? "yes" : "no"
        case let some?: "\(some)"
        }
    }

    /// Postgres writes times in JSON as 2026-11-21T04:33:19.967927+00:00.
    private static func isTime(_ text: String) -> Bool {
        text.utf8.count >= 25 && text.dropFirst(10).first == "T" && text.dropFirst(4).first == "-"
    }
}

/// Tells the booleans among the numbers that JSONSerialization gives.
private enum CFBoolean {
    static func isBoolean(_ number: NSNumber) -> Bool { String(cString: number.objCType) == "c" }
}
