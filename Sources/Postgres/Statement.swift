// A named SQL statement and one execution of it. Written by stores as constants; run by Connection.

/// One SQL statement with the name under which it appears in errors and logs.
public struct Statement: Sendable {
    /// The name, for example `EventClaim`; part of every error about this statement.
    public let name: String
    /// The SQL text: one command, parameters written `$1`, `$2` ….
    public let sql: String
    /// True (the default) to prepare it once per connection; false to send it unnamed each time.
    public let prepare: Bool
    /// A hash of the SQL, computed once so that looking up a prepared statement need not read the text again.
    let fingerprint: UInt64

    /// Makes a statement; keep it in a constant, its hash is computed here.
    ///
    /// - Parameters:
    ///   - name: shown in errors; up to 40 bytes of it become part of the server-side name.
    ///   - sql: one command with parameters `$1`, `$2` ….
    ///   - prepare: true to prepare it on the server at first use, false for poolers and statements used once.
    public init(name: String, sql: String, prepare: Bool = true) {
        self.name = name
        self.sql = sql
        self.prepare = prepare
        fingerprint = prepare ? Fingerprint.of(sql) : 0
    }
}

/// A statement and the values of one execution.
public struct Step: Sendable {
    /// What to run.
    public let statement: Statement
    /// The values of `$1`, `$2` …, in order.
    public let parameters: [Value]

    /// Makes one execution of a statement.
    ///
    /// - Parameters:
    ///   - statement: what to run.
    ///   - parameters: the values of `$1`, `$2` …, in order; empty by default.
    public init(_ statement: Statement, _ parameters: [Value] = []) {
        self.statement = statement
        self.parameters = parameters
    }
}

/// FNV-1a, 64 bits: names prepared statements, where the same text must give the same name in every process.
enum Fingerprint {
    /// The hash of a text's UTF-8 bytes.
    static func of(_ text: String) -> UInt64 {
        text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
    }

    /// A hash continued with the OIDs of parameter types.
    static func extended(_ hash: UInt64, with types: [UInt32]) -> UInt64 {
        types.reduce(hash) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
    }
}
