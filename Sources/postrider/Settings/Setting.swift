// The table of every setting that comes from the environment or from a file. docs/configuration.md is written from it.

/// One setting, as docs/configuration.md lists it.
struct Setting: Sendable {
    /// The environment variable.
    let variable: String
    /// What it takes, with unit and range.
    let form: String
    /// The default, as text.
    let standard: String
    /// What it does.
    let purpose: String
    var isSecret = false

    /// The key in a configuration file: `POSTRIDER_ALLOW_HTTP` is `postrider.allow.http`.
    var key: String { variable.lowercased().split(separator: "_").joined(separator: ".") }

    /// All settings.
    static let all: [Setting] = [
        Setting(
            variable: "DATABASE_URL", form: "postgres:// URL or libpq connection string",
            standard: "libpq's PG* variables",
            purpose: "Where Postgres is.", isSecret: true),
        Setting(
            variable: "POSTRIDER_DIRECT_DATABASE_URL", form: "as DATABASE_URL", standard: "DATABASE_URL",
            purpose: "A way to the same database without a pooler, for notifications, heartbeats and locks.",
            isSecret: true),
        Setting(
            variable: "POSTRIDER_SECRET_KEYS", form: "comma list of name:base64 of 32 bytes", standard: "none",
            purpose: "Keys of secrets at rest: the first seals, all open.", isSecret: true),
        Setting(
            variable: "POSTRIDER_SECRET_KEYS_FILE", form: "path of a file of mode 600", standard: "none",
            purpose: "The same keys, one a line, # before comments; instead of the variable."),
        Setting(
            variable: "POSTRIDER_ALLOW_NETWORKS", form: "list of CIDR networks", standard: "none",
            purpose: "Addresses that may be dialled although the guard refuses their kind."),
        Setting(
            variable: "POSTRIDER_ALLOW_HTTP", form: "true or false", standard: "false",
            purpose: "Whether plain http is sent to, loopback included."),
        Setting(
            variable: "POSTRIDER_MAX_IN_FLIGHT", form: "1 to 10000 requests", standard: "512",
            purpose:
                "Requests in flight at once from one worker; those to destinations from which nothing has come for a second do not count, up to as many again."
        ),
        Setting(
            variable: "POSTRIDER_MAX_OUTSTANDING", form: "1 to 100000 deliveries", standard: "2048",
            purpose: "Deliveries in memory of one worker, in flight and waiting."),
        Setting(
            variable: "POSTRIDER_FLOOR_POLL", form: "time, 1ms to 60s", standard: "25ms",
            purpose:
                "The longest wait between looks at the queue without notifications; with them 100 ms, or 250 when nothing has come for 5 s, or this, if longer."
        ),
        Setting(
            variable: "POSTRIDER_DEAF", form: "true or false",
            standard: "false, or true when there is no direct connection",
            purpose: "Whether to do without notifications and session locks: only polling and leases."),
        Setting(
            variable: "POSTRIDER_SHUTDOWN_GRACE", form: "time, 0s to 10m", standard: "25s",
            purpose: "How long exchanges in flight may go on after SIGTERM."),
        Setting(
            variable: "POSTRIDER_CA_FILE", form: "path of a PEM file", standard: "the system's",
            purpose: "Certificate authorities that receivers are verified with."),
        Setting(
            variable: "POSTRIDER_HTTP2", form: "true or false", standard: "true with libcurl 8.14.1 or newer",
            purpose:
                "Whether HTTP/2 is offered to https receivers. Older libcurl resets each stream, which many take for an attack."
        ),
        Setting(
            variable: "POSTRIDER_EXPOSE", form: "comma list of variables, each NAME or NAME:shared", standard: "none",
            purpose:
                "Variables of the worker's environment that destinations may name as ${NAME}; shared ones those of organizations too."
        ),
        Setting(
            variable: "POSTRIDER_ALLOW_PROXY", form: "comma list of proxies, each host:port or host:port:shared",
            standard: "none",
            purpose:
                "Proxies that destinations may name, dialled whatever their address; shared ones those of organizations too."
        ),
        Setting(
            variable: "POSTRIDER_TLS_FOLDER", form: "path of a folder", standard: "none",
            purpose: "Where certificates and keys lie that destinations name as file:NAME."),
        Setting(
            variable: "POSTRIDER_LOG_LEVEL", form: "trace, debug, info, notice, warning, error, critical",
            standard: "info", purpose: "The least level that is logged."),
        Setting(
            variable: "POSTRIDER_SECRET_WARNING", form: "time, 0s to 365d", standard: "14d",
            purpose: "How long before the date of a secret workers, doctor and endpoints list warn."),
        Setting(
            variable: "POSTRIDER_CONFIG_FILE", form: "path of a JSON file", standard: "none",
            purpose: "Further settings; the environment goes before it."),
    ]
}
