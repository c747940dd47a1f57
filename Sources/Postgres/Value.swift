// What a caller binds to $1, $2 …. Turned into bytes by ParameterBuffer.

/// One parameter of a statement.
///
/// Numbers, times, uuids, bytea and arrays travel in binary with their own type. Text travels as text with its type
/// left to the server, so it fits text, json, jsonb, enums and every other type that reads its text form. Arrays of
/// text have the type `text[]`; cast them in SQL (`$1::jsonb[]`) where another type is wanted.
public struct Value: Sendable {
    /// The payload; module-internal so that a faster representation never breaks a caller.
    let content: Content

    init(_ content: Content) { self.content = content }

    /// SQL NULL; its type is left to the server.
    public static var null: Value { Value(.null) }
    /// A boolean.
    public static func bool(_ value: Bool) -> Value { Value(.bool(value)) }
    /// A smallint.
    public static func int2(_ value: Int16) -> Value { Value(.int2(value)) }
    /// An integer.
    public static func int4(_ value: Int32) -> Value { Value(.int4(value)) }
    /// A bigint.
    public static func int8(_ value: Int64) -> Value { Value(.int8(value)) }
    /// A bigint from Swift's own integer.
    public static func int(_ value: Int) -> Value { Value(.int8(Int64(value))) }
    /// A double precision number.
    public static func float8(_ value: Double) -> Value { Value(.float8(value)) }
    /// Text, or the text form of any type; must not hold U+0000.
    public static func text(_ value: String) -> Value { Value(.text(value)) }
    /// The same as ``text(_:)`` from UTF-8 bytes, for example a JSON document already serialized.
    public static func utf8(_ value: [UInt8]) -> Value { Value(.utf8(value)) }
    /// Bytes.
    public static func bytea(_ value: [UInt8]) -> Value { Value(.bytea(value)) }
    /// A uuid.
    public static func uuid(_ value: UUIDBytes) -> Value { Value(.uuid(value)) }
    /// A point in time, in microseconds since 2000-01-01 00:00 UTC (Postgres' own epoch).
    public static func timestamptz(microsecondsSince2000 value: Int64) -> Value { Value(.timestamptz(value)) }
    /// A length of time in microseconds, without months or days.
    public static func interval(microseconds value: Int64) -> Value { Value(.interval(value)) }

    /// A `smallint[]`.
    public static func int2s(_ values: [Int16]) -> Value { Value(.int2s(values)) }
    /// A `smallint[]` in which nil becomes NULL.
    public static func int2s(_ values: [Int16?]) -> Value { Value(.optionalInt2s(values)) }
    /// An `integer[]`.
    public static func int4s(_ values: [Int32]) -> Value { Value(.int4s(values)) }
    /// A `bigint[]`.
    public static func int8s(_ values: [Int64]) -> Value { Value(.int8s(values)) }
    /// A `bigint[]` in which nil becomes NULL.
    public static func int8s(_ values: [Int64?]) -> Value { Value(.optionalInt8s(values)) }
    /// A `double precision[]`.
    public static func float8s(_ values: [Double]) -> Value { Value(.float8s(values)) }
    /// A `boolean[]`.
    public static func bools(_ values: [Bool]) -> Value { Value(.bools(values)) }
    /// A `text[]`.
    public static func texts(_ values: [String]) -> Value { Value(.texts(values)) }
    /// A `text[]` in which nil becomes NULL.
    public static func texts(_ values: [String?]) -> Value { Value(.optionalTexts(values)) }
    /// A `text[]` from UTF-8 bytes.
    public static func utf8s(_ values: [[UInt8]]) -> Value { Value(.utf8s(values)) }
    /// A `text[]` from UTF-8 bytes in which nil becomes NULL.
    public static func utf8s(_ values: [[UInt8]?]) -> Value { Value(.optionalUTF8s(values)) }
    /// A `uuid[]`.
    public static func uuids(_ values: [UUIDBytes]) -> Value { Value(.uuids(values)) }
}

extension Value {
    /// The cases behind the factories. Arrays without NULLs have cases of their own: turning `[T]` into `[T?]` costs
    /// a dynamic cast for every element.
    enum Content: Sendable {
        case null
        case bool(Bool)
        case int2(Int16)
        case int4(Int32)
        case int8(Int64)
        case float8(Double)
        case text(String)
        case utf8([UInt8])
        case bytea([UInt8])
        case uuid(UUIDBytes)
        case timestamptz(Int64)
        case interval(Int64)
        case int2s([Int16])
        case optionalInt2s([Int16?])
        case int4s([Int32])
        case int8s([Int64])
        case optionalInt8s([Int64?])
        case float8s([Double])
        case bools([Bool])
        case texts([String])
        case optionalTexts([String?])
        case utf8s([[UInt8]])
        case optionalUTF8s([[UInt8]?])
        case uuids([UUIDBytes])
    }

    /// Calls the closure with every text this value holds, up to a length in bytes; error messages are searched for
    /// them, and a longer text cannot stand in a message.
    func forEachText(upTo limit: Int, _ body: (String) -> Void) {
        func visit(_ text: String) { if text.utf8.count <= limit { body(text) } }
        func visit(_ bytes: [UInt8]) { if bytes.count <= limit { body(String(decoding: bytes, as: UTF8.self)) } }
        switch content {
        case .text(let text): visit(text)
        case .utf8(let bytes): visit(bytes)
        case .texts(let texts): texts.forEach(visit)
        case .optionalTexts(let texts): texts.forEach { if let text = $0 { visit(text) } }
        case .utf8s(let all): all.forEach(visit)
        case .optionalUTF8s(let all): all.forEach { if let one = $0 { visit(one) } }
        default: break
        }
    }
}
