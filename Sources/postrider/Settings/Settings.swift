// Every setting that comes from the environment or from a file: one table, read and checked at once.

internal import Configuration
internal import Foundation
internal import HTTPExchange
internal import Logging
internal import Outbox
internal import OutboxWorker
internal import Postgres
internal import SystemPackage

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
            purpose: "Requests in flight at once from one worker."),
        Setting(
            variable: "POSTRIDER_MAX_OUTSTANDING", form: "1 to 100000 deliveries", standard: "2048",
            purpose: "Deliveries in memory of one worker, in flight and waiting."),
        Setting(
            variable: "POSTRIDER_FLOOR_POLL", form: "time, 1ms to 60s", standard: "25ms",
            purpose:
                "The longest wait between looks at the queue without notifications; with them 100 ms or this, if longer."
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

/// The settings of this process, checked.
struct Settings: Sendable {
    var worker: WorkerSettings
    var logLevel = Logger.Level.info
    /// Variables that are exposed and not set: workers warn of them, other commands need them seldom.
    var unsetVariables: [String] = []

    /// Where Postgres is.
    var database: ConnectionSettings { worker.database }

    /// Reads the environment, then the file that it names.
    ///
    /// - Throws: ``CommandFailure`` that names every setting that is wrong, at once.
    static func load(environment: [String: String] = ProcessInfo.processInfo.environment) async throws -> Settings {
        let secrets = SecretsSpecifier<String, String>.specific(Set(Setting.all.filter(\.isSecret).map(\.variable)))
        var providers: [any ConfigProvider] = [
            EnvironmentVariablesProvider(environmentVariables: environment, secretsSpecifier: secrets)
        ]
        if let path = environment["POSTRIDER_CONFIG_FILE"], !path.isEmpty {
            do {
                providers.append(try await FileProvider<JSONSnapshot>(filePath: .init(path)))
            } catch {
                throw CommandFailure.failed("POSTRIDER_CONFIG_FILE: \(path) cannot be read as JSON")
            }
        }
        var reader = SettingReader(ConfigReader(providers: providers), environment)
        let settings = reader.settings()
        guard reader.faults.isEmpty else { throw CommandFailure.failed(reader.faults.joined(separator: "; ")) }
        return settings
    }
}

/// Reads settings and collects what is wrong with them.
private struct SettingReader {
    private let reader: ConfigReader
    private let environment: [String: String]
    private(set) var faults: [String] = []
    private var unsetVariables: [String] = []

    init(_ reader: ConfigReader, _ environment: [String: String]) {
        self.reader = reader
        self.environment = environment
    }

    mutating func settings() -> Settings {
        var worker = WorkerSettings(database: connection("DATABASE_URL"))
        if text("POSTRIDER_DIRECT_DATABASE_URL") != nil {
            worker.directDatabase = connection("POSTRIDER_DIRECT_DATABASE_URL")
        }
        worker.isDeaf = flag("POSTRIDER_DEAF") ?? false
        worker.secretKeys = keys()
        worker.grants = grants()
        worker.allowsHTTP = flag("POSTRIDER_ALLOW_HTTP") ?? false
        worker.exchanger.addressGuard = AddressGuard(allowing: networks("POSTRIDER_ALLOW_NETWORKS"))
        worker.exchanger.caFile = text("POSTRIDER_CA_FILE")
        worker.maxInFlight = whole("POSTRIDER_MAX_IN_FLIGHT", 1...10_000) ?? worker.maxInFlight
        worker.maxOutstanding = whole("POSTRIDER_MAX_OUTSTANDING", 1...100_000) ?? worker.maxOutstanding
        worker.floorPoll = time("POSTRIDER_FLOOR_POLL", .milliseconds(1) ... .seconds(60)) ?? worker.floorPoll
        worker.shutdownGrace = time("POSTRIDER_SHUTDOWN_GRACE", .zero ... .seconds(600)) ?? worker.shutdownGrace
        worker.secretWarning = time("POSTRIDER_SECRET_WARNING", .zero ... .seconds(31_536_000)) ?? worker.secretWarning
        var settings = Settings(worker: worker)
        settings.unsetVariables = unsetVariables
        if let level = text("POSTRIDER_LOG_LEVEL") {
            if let known = Logger.Level(rawValue: level.lowercased()) {
                settings.logLevel = known
            } else {
                fault("POSTRIDER_LOG_LEVEL", "\(level.debugDescription) is no level")
            }
        }
        return settings
    }

    private mutating func fault(_ variable: String, _ reason: String) { faults.append("\(variable): \(reason)") }

    private func text(_ variable: String) -> String? {
        let setting = Setting.all.first { $0.variable == variable }
        let key = ConfigKey(variable.lowercased().split(separator: "_").map(String.init))
        let text = reader.string(forKey: key, isSecret: setting?.isSecret ?? false)
        return text?.isEmpty == true ? nil : text
    }

    private mutating func connection(_ variable: String) -> ConnectionSettings {
        let settings = ConnectionSettings(url: text(variable))
        do {
            try settings.validate()
        } catch {
            fault(variable, "\(error)")
        }
        return settings
    }

    /// The keys of the variable or of the file, not of both: nobody would know which seals.
    private mutating func keys() -> KeyRing? {
        let (list, path) = (text("POSTRIDER_SECRET_KEYS"), text("POSTRIDER_SECRET_KEYS_FILE"))
        guard list == nil || path == nil else {
            fault("POSTRIDER_SECRET_KEYS", "is set beside POSTRIDER_SECRET_KEYS_FILE")
            return nil
        }
        do {
            if let list { return try KeyRing(list: list) }
        } catch {
            fault("POSTRIDER_SECRET_KEYS", "\(error)")
        }
        do {
            if let path { return try KeyRing(file: KeyFile.read(path)) }
        } catch {
            fault("POSTRIDER_SECRET_KEYS_FILE", "\(error)")
        }
        return nil
    }

    /// What destinations may use of this process.
    private mutating func grants() -> ProcessGrants {
        var grants = ProcessGrants()
        for entry in list("POSTRIDER_EXPOSE") {
            let parts = entry.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            guard ReferenceText.isName(parts[0]), parts.count == 1 || parts.count == 2 && parts[1] == "shared" else {
                fault("POSTRIDER_EXPOSE", "\(entry.debugDescription) is neither NAME nor NAME:shared")
                continue
            }
            guard !Setting.all.contains(where: { $0.variable == parts[0] && $0.isSecret }) else {
                fault("POSTRIDER_EXPOSE", "\(parts[0]) is the worker's own secret and is given to nobody")
                continue
            }
            guard let value = environment[parts[0]], !value.isEmpty else {
                unsetVariables.append(parts[0])
                continue
            }
            grants.variables[parts[0]] = ProcessGrants.Variable(value, isShared: parts.count == 2)
        }
        for entry in list("POSTRIDER_ALLOW_PROXY") {
            let parts = entry.split(separator: ":", omittingEmptySubsequences: false)
            let isShared = parts.count == 3 && parts[2] == "shared"
            guard parts.count == 2 || isShared, !parts[0].isEmpty, let port = Int(parts[1]),
                (1...65_535).contains(port)
            else {
                fault("POSTRIDER_ALLOW_PROXY", "\(entry.debugDescription) is neither host:port nor host:port:shared")
                continue
            }
            grants.proxies["\(parts[0].lowercased()):\(port)"] = isShared
        }
        if let folder = text("POSTRIDER_TLS_FOLDER") {
            var isFolder: ObjCBool = false
            if !FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder) || !isFolder.boolValue {
                fault("POSTRIDER_TLS_FOLDER", "\(folder) is no folder")
            }
            grants.readFile = CertificateFolder(path: folder).read
        }
        return grants
    }

    /// The entries of a list with commas, without blanks around them.
    private func list(_ variable: String) -> [String] {
        (text(variable) ?? "").split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
    }

    private mutating func networks(_ variable: String) -> [Network] {
        do {
            return try Network.list(text(variable) ?? "")
        } catch {
            fault(variable, "\(error)")
            return []
        }
    }

    private mutating func flag(_ variable: String) -> Bool? {
        guard let text = text(variable) else { return nil }
        switch text.lowercased() {
        case "true", "yes", "on", "1": return true
        case "false", "no", "off", "0": return false
        default:
            fault(variable, "\(text.debugDescription) is neither true nor false")
            return nil
        }
    }

    private mutating func whole(_ variable: String, _ range: ClosedRange<Int>) -> Int? {
        guard let text = text(variable) else { return nil }
        guard let number = Int(text), range.contains(number) else {
            fault(
                variable, "\(text.debugDescription) is no whole number from \(range.lowerBound) to \(range.upperBound)")
            return nil
        }
        return number
    }

    private mutating func time(_ variable: String, _ range: ClosedRange<Duration>) -> Duration? {
        guard let text = text(variable) else { return nil }
        guard let duration = TimeArgument.parse(text), range.contains(duration) else {
            fault(variable, "\(text.debugDescription) is no time from \(range.lowerBound) to \(range.upperBound)")
            return nil
        }
        return duration
    }
}
