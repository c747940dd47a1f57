// Where and how to connect. Made by the program from its configuration; read by Dialer and Connection.

internal import Glibc

/// Everything needed to open a connection.
///
/// Without an URL libpq's own `PG*` variables, service and password files apply; they also fill what an URL leaves
/// out. `description` never shows a password.
public struct ConnectionSettings: Sendable, CustomStringConvertible {
    /// Options by libpq's keyword (`application_name`, `options`, `sslmode` …), stronger than those of the URL.
    public var parameters: [String: String]
    /// The longest time to connect, over all hosts together. Default 5 s, or `connect_timeout` of the URL.
    public var connectTimeout: Duration = .seconds(5)
    /// The longest time of one query, waiting for its turn included. Default 30 s; nil for none.
    public var queryTimeout: Duration? = .seconds(30)
    /// Whether statements are prepared on the server. Default true; false for poolers that share server connections
    /// without following prepared statements (PgBouncer before 1.21).
    public var prepares = true
    /// Settings of Postgres by name (`statement_timeout` …) that each session begins with, whatever the role or the database
    /// sets; none by default. Left out behind a pooler, whose sessions are others' too.
    public var sessionSettings: [String: String] = [:]
    /// What the URL says, or why it cannot be read.
    private let url: Result<[String: String], PostgresError>

    /// Reads an URL.
    ///
    /// An URL that makes no sense is reported by ``validate()`` and by ``Connection/open(_:)``.
    ///
    /// - Parameters:
    ///   - url: `postgres://…` or `keyword=value …` (libpq, "Connection Strings"); nil for libpq's environment.
    ///   - parameters: options stronger than those of the URL, by libpq's keyword.
    public init(url: String? = nil, parameters: [String: String] = [:]) {
        self.parameters = parameters
        self.url = Result { try url.map(ConnectionString.parse) ?? [:] }
            .mapError { $0 as? PostgresError ?? PostgresError(code: .invalidSettings, message: "unreadable") }
        if case .success(let options) = self.url, let text = options["connect_timeout"], let seconds = Int(text),
            seconds > 0
        {
            connectTimeout = .seconds(seconds)
        }
    }

    /// What libpq is given unless the URL or ``parameters`` say otherwise. Keepalives and `tcp_user_timeout` end a
    /// half-open connection within seconds; by itself TCP waits for hours.
    public static let defaults: [String: String] = [
        "keepalives": "1",
        "keepalives_idle": "1",
        "keepalives_interval": "1",
        "keepalives_count": "2",
        "tcp_user_timeout": "1500",
        "fallback_application_name": "postrider",
    ]

    /// These settings, for a server that takes writes unless they say otherwise: of several hosts the primary is chosen,
    /// and a single one is refused while it is a standby or read-only (libpq, `target_session_attrs`).
    public var writable: ConnectionSettings {
        var settings = self
        let given = (try? url.get())?["target_session_attrs"]
        if given == nil, parameters["target_session_attrs"] == nil, getenv("PGTARGETSESSIONATTRS") == nil {
            settings.parameters["target_session_attrs"] = "read-write"
        }
        return settings
    }

    /// Checks the URL and the names of all options.
    ///
    /// - Throws: ``PostgresError`` of code `invalidSettings`; its message never quotes the URL or a value.
    public func validate() throws { _ = try options() }

    /// The options in the form libpq takes them.
    ///
    /// - Throws: ``PostgresError`` of code `invalidSettings`.
    func options() throws -> [String: String] {
        var options = Self.defaults.merging(try url.get()) { $1 }.merging(parameters) { $1 }
        let known = ConnectionString.keywords
        for keyword in options.keys.sorted() where !known.contains(keyword) {
            throw PostgresError(code: .invalidSettings, message: "unknown connection option \(keyword)")
        }
        // Not a default: every text this module decodes is taken to be UTF-8.
        options["client_encoding"] = "UTF8"
        return options
    }

    /// All secrets among the options, for taking them out of messages.
    var secrets: [String] {
        guard let options = try? options() else { return [] }
        return ConnectionString.secretKeywords.compactMap { options[$0] }.filter { !$0.isEmpty }
    }

    /// Host, port, database and user, for people; no password.
    public var description: String {
        guard let options = try? options() else { return "unreadable connection settings" }
        return ["host", "hostaddr", "port", "dbname", "user", "service", "sslmode"]
            .compactMap { key in options[key].map { "\(key)=\($0)" } }
            .joined(separator: " ")
    }
}

extension ConnectionSettings: CustomReflectable {
    /// Only the description: `dump` and `String(reflecting:)` would otherwise walk to the password.
    public var customMirror: Mirror { Mirror(self, children: ["settings": description]) }
}
