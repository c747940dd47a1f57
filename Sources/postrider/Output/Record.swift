// One JSON document from the database, as rows of tables and as output for machines.

internal import FoundationEssentials
internal import Outbox

/// A JSON object: what a request of an administrator gives for each row.
struct Record {
    let text: String
    private let members: [String: JSONValue]

    /// Parses what the database gave.
    ///
    /// - Throws: `OptionError` when it is no JSON, or nested too deep.
    init(_ bytes: [UInt8]) throws(OptionError) {
        text = String(decoding: bytes, as: UTF8.self)
        members = try JSONValue(payload: bytes).members ?? [:]
    }

    /// A record of a command's own, its members in the order of their names.
    init(_ document: Document) { self.init(members: JSONValue(document).members ?? [:]) }

    private init(members: [String: JSONValue]) {
        self.members = members
        text = members.json.line
    }

    /// The same with another text in one member.
    func replacing(_ name: String, with value: String?) -> Record {
        Record(members: members.merging([name: value?.json ?? .null]) { $1 })
    }

    /// A member as a person reads it: empty for null, lists with commas, times to the second.
    subscript(name: String) -> String { Self.readable(members[name]) }

    /// The names of its members, in order.
    var names: [String] { members.keys.sorted() }

    /// A number; nil for null and other types.
    func number(_ name: String) -> Double? { members[name]?.number }

    /// An instant; nil for null and other forms than that of Postgres.
    func date(_ name: String) -> Date? {
        members[name]?.string.flatMap { Self.time($0) }
    }

    /// An instant of ISO 8601 with or without a fraction of a second; nil for other texts.
    static func time(_ text: String) -> Date? {
        let style = Date.ISO8601FormatStyle().year().month().day().timeZone(separator: .colon)
        return (try? style.time(includingFractionalSeconds: true).parse(text))
            ?? (try? style.time(includingFractionalSeconds: false).parse(text))
    }

    /// A truth value; false for everything else.
    func isTrue(_ name: String) -> Bool { members[name] == .bool(true) }

    /// The objects of a list.
    func records(_ name: String) -> [Record] {
        (members[name]?.elements ?? []).compactMap { $0.members.map(Record.init(members:)) }
    }

    /// Whether there is a member of that name.
    func has(_ name: String) -> Bool { members[name] != nil }

    /// A member object.
    func record(_ name: String) -> Record { Record(members: members[name]?.members ?? [:]) }

    /// A member as it is, to be sent back.
    func value(_ name: String) -> JSONValue? { members[name] }

    private static func readable(_ value: JSONValue?) -> String {
        switch value {
        case nil, .null: ""
        case .string(let text): isTime(text) ? "\(text.prefix(10)) \(text.dropFirst(11).prefix(8))" : text
        case .array(let list): list.map { readable($0) }.joined(separator: ",")
        case .bool(let value): value ? "yes" : "no"
        // Numbers of Postgres may end in zeros, which tell people nothing; ids have more digits than a double.
        case .number(let number, let text): Int64(text) == nil ? number.plain : text
        case .object(let members): members.json.line
        }
    }

    /// Postgres writes times in JSON as 2026-11-21T04:33:19.967927+00:00.
    private static func isTime(_ text: String) -> Bool {
        text.utf8.count >= 25 && text.dropFirst(10).first == "T" && text.dropFirst(4).first == "-"
    }
}
