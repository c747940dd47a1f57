// Remembers what one connection has prepared. Owned by Session.

/// The prepared statements of one connection.
///
/// A statement is prepared for certain parameter types; the same SQL bound to other types is another variant. NULL
/// fits every type, so a variant made for values also serves NULLs in their place.
struct PreparedStatements {
    private struct Key: Hashable {
        let fingerprint: UInt64
        let sql: String

        // The fingerprint stands for the text: hashing kilobytes of SQL for every query would cost more than sending.
        func hash(into hasher: inout Hasher) { hasher.combine(fingerprint) }
        static func == (left: Key, right: Key) -> Bool {
            left.fingerprint == right.fingerprint && left.sql == right.sql
        }
    }

    private struct Variant {
        let name: String
        let types: [UInt32]
    }

    private var variants: [Key: [Variant]] = [:]
    private var count = 0
    private var forgotten = 0

    /// How many statements a connection prepares; each holds memory on the server. Beyond it they go unnamed.
    static let limit = 512

    /// The server-side name for a statement with these parameters.
    ///
    /// - Returns: the name, and whether it has to be prepared first; nil when the limit is reached.
    mutating func name(_ statement: Statement, types: [UInt32], isNull: (Int) -> Bool) -> (name: String, isNew: Bool)? {
        let key = Key(fingerprint: statement.fingerprint, sql: statement.sql)
        let match = variants[key]?.first { variant in
            variant.types.count == types.count
                && types.indices.allSatisfy { variant.types[$0] == types[$0] || isNull($0) }
        }
        if let match { return (match.name, false) }
        guard count < Self.limit else { return nil }
        let name = makeName(statement, types)
        variants[key, default: []].append(Variant(name: name, types: types))
        count += 1
        return (name, true)
    }

    /// Forgets a statement that could not be prepared, or that the server no longer has or can no longer run.
    mutating func forget(_ name: String) {
        guard let key = variants.first(where: { $0.value.contains { $0.name == name } })?.key else { return }
        variants[key]?.removeAll { $0.name == name }
        count -= 1
        forgotten += 1
    }

    /// A name that is the same in every process for the same SQL and types, as poolers and the server's statistics
    /// like it. Postgres cuts names at 63 bytes. A statement forgotten here may still exist on the server under its old
    /// name, so names change after that.
    private func makeName(_ statement: Statement, _ types: [UInt32]) -> String {
        let hash = String(Fingerprint.extended(statement.fingerprint, with: types), radix: 16)
        let readable = String(decoding: statement.name.utf8.filter { $0 > 32 && $0 < 127 }.prefix(32), as: UTF8.self)
        return forgotten == 0 ? "\(readable)_\(hash)" : "\(readable)_\(hash)_\(forgotten)"
    }
}
