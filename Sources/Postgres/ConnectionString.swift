// Reads connection strings with libpq's own parser. Called by ConnectionSettings.

internal import CLibPQ

/// libpq's view of connection strings.
enum ConnectionString {
    /// Splits a URI or `keyword=value` string into its options (`PQconninfoParse`).
    ///
    /// - Throws: ``PostgresError`` of code `invalidSettings`; libpq's message without what it quotes, which can be the
    ///   whole string, password included. Also for a host or port that can only be a part of a password.
    static func parse(_ text: String) throws -> [String: String] {
        guard !text.utf8.contains(0) else {
            throw PostgresError(code: .invalidSettings, message: "the connection string holds a NUL byte")
        }
        var complaint: UnsafeMutablePointer<CChar>?
        guard let options = PQconninfoParse(text, &complaint) else {
            let line = Redaction.withoutQuoted(PostgresError.firstLine(complaint))
            PQfreemem(complaint)
            throw PostgresError(
                code: .invalidSettings,
                message: "\(line); expected postgres://user@host:port/database or keyword=value pairs")
        }
        defer { PQconninfoFree(options) }
        let found = values(options)
        try checkPlace(found, text)
        return found
    }

    /// Refuses a host or port that is the end of a password: one with a bare `@` or `/` ends early for libpq, and what is
    /// behind would stand in messages as the host that cannot be found.
    private static func checkPlace(_ options: [String: String], _ text: String) throws {
        let hosts = (options["host"] ?? "").split(separator: ",")
        // Folders of sockets are paths, and names of abstract sockets begin with an @.
        let isHost = hosts.allSatisfy { $0.hasPrefix("/") || !$0.dropFirst().contains("@") }
        let isPort = (options["port"] ?? "").allSatisfy { $0.isNumber || $0.isWhitespace || ",+-".contains($0) }
        // In a URL an @ behind the host is part of no name of a database but a percent-encoded one.
        let isURL = text.hasPrefix("postgres://") || text.hasPrefix("postgresql://")
        let path = text.prefix { $0 != "?" }.split(separator: "/").dropFirst(2)
        guard isHost, isPort, !isURL || !path.contains(where: { $0.contains("@") }) else {
            throw PostgresError(
                code: .invalidSettings,
                message: "that is no host or no port; in a password @ is written %40, / is %2F and % is %25")
        }
    }

    /// Every keyword this libpq knows (`PQconndefaults`); empty only when memory is short.
    static let keywords: Set<String> = {
        guard let options = PQconndefaults() else { return [] }
        defer { PQconninfoFree(options) }
        var known: Set<String> = []
        forEach(options) { keyword, _ in known.insert(keyword) }
        return known
    }()

    /// Options whose values are secret.
    static let secretKeywords = [
        "password", "sslpassword", "scram_client_key", "scram_server_key", "oauth_client_secret",
    ]

    /// The options that have a value.
    private static func values(_ options: UnsafeMutablePointer<PQconninfoOption>) -> [String: String] {
        var values: [String: String] = [:]
        forEach(options) { keyword, value in values[keyword] = value }
        return values
    }

    /// Walks libpq's array, which ends with an option without keyword.
    private static func forEach(
        _ options: UnsafeMutablePointer<PQconninfoOption>, _ body: (String, String?) -> Void
    ) {
        var option = options
        while let keyword = option.pointee.keyword {
            body(String(cString: keyword), option.pointee.val.map { String(cString: $0) })
            option += 1
        }
    }
}
