// The one error type that leaves this module. Thrown by everything public here; logged by callers as it is.
// Its description never holds a bound value or a password.

/// What went wrong between the program and Postgres: a code to branch on, the server's words, and where.
///
/// `description` is safe to log: the server's DETAIL and CONTEXT (which quote rows) are left out, quoted input is
/// replaced in data exceptions, and bound text parameters are replaced wherever the server repeats them.
public struct PostgresError: Error, Sendable, CustomStringConvertible {
    /// The kind of failure, stable enough to branch on and bounded enough for a metric label.
    public enum Code: String, Sendable, CaseIterable {
        /// No connection could be made: refused, unknown host, rejected login.
        case connectionFailed
        /// A connection that worked has ended; whether the statement took effect is not known.
        case connectionLost
        /// A deadline passed: connecting, running a query, or waiting for a pooled connection.
        case timedOut
        /// The calling task was cancelled or ``Connection/cancel()`` was called.
        case cancelled
        /// The server refused a statement; see ``PostgresError/sqlState``.
        case server
        /// The connection or pool had been closed by this program.
        case closed
        /// A result did not have the shape the caller asked for.
        case decoding
        /// The connection settings cannot be used.
        case invalidSettings
        /// A parameter cannot be sent, for example text holding a NUL byte.
        case invalidParameter
    }

    /// The kind of failure.
    public var code: Code
    /// One line in the server's, libpq's or this module's words; holds no bound value.
    public var message: String
    /// The name of the ``Statement`` or script that failed; nil outside of queries.
    public var queryName: String?
    /// The five-character SQLSTATE, nil when the failure did not come from the server (PostgreSQL, appendix A).
    public var sqlState: String?
    /// The server's HINT, nil when it gave none.
    public var hint: String?
    /// The server's DETAIL. It may quote rows and bound values: never log it, and it is not in `description`.
    public var detail: String?
    /// The violated constraint, nil when the error is not about one.
    public var constraint: String?
    /// The schema the error is about, nil when the server names none.
    public var schema: String?
    /// The table the error is about, nil when the server names none.
    public var table: String?
    /// The column the error is about, nil when the server names none.
    public var column: String?

    /// Makes an error from its code and one line of text.
    ///
    /// - Parameters:
    ///   - code: the kind of failure.
    ///   - message: one line without bound values or secrets.
    ///   - queryName: the statement's name, nil outside of queries.
    ///   - sqlState: the SQLSTATE, nil when the server gave none.
    public init(code: Code, message: String, queryName: String? = nil, sqlState: String? = nil) {
        self.code = code
        self.message = message
        self.queryName = queryName
        self.sqlState = sqlState
    }

    /// True when the connection is gone or never came to be, so that a new one is needed.
    public var isConnectionFailure: Bool {
        switch code {
        case .connectionFailed, .connectionLost, .closed: true
        case .timedOut, .cancelled, .server, .decoding, .invalidSettings, .invalidParameter: false
        }
    }

    /// True when the same work may succeed later: lost or refused connections, deadlines, serialization failures,
    /// deadlocks, a server that shuts down or is full, a prepared statement that a migration or pooler made stale.
    ///
    /// After ``Code/connectionLost`` and ``Code/timedOut`` the first try may have taken effect all the same.
    public var isRetryable: Bool {
        switch code {
        case .connectionFailed, .connectionLost, .timedOut: true
        case .server: isStalePreparedStatement || (sqlState.map(Self.isTransient) ?? false)
        case .cancelled, .closed, .decoding, .invalidSettings, .invalidParameter: false
        }
    }

    /// True when a prepared statement is unknown to the server or its result changed shape (26000, 0A000 of a cached
    /// plan): it has been forgotten here and the next try prepares it anew.
    public var isStalePreparedStatement: Bool {
        sqlState == "26000" || (sqlState == "0A000" && message.hasPrefix("cached plan must not change"))
    }

    /// One line: code, query, SQLSTATE, message, constraint, hint. Safe to log.
    public var description: String {
        var text = "postgres \(code.rawValue)"
        if let queryName { text += " in \(queryName)" }
        if let sqlState { text += " [\(sqlState)]" }
        text += ": \(message)"
        if let constraint { text += " (constraint \(constraint))" }
        if let hint { text += " Hint: \(hint)" }
        return text
    }

    /// Tells whether a SQLSTATE belongs to a condition that passes by itself.
    private static func isTransient(_ state: String) -> Bool {
        switch state {
        case "40001", "40P01", "53300", "55P03": true
        default: state.hasPrefix("08") || state.hasPrefix("57P0")
        }
    }
}
