// Reads the settings of a process and tells all that is wrong with them at once. Called by Settings.

internal import Configuration
internal import FoundationEssentials
internal import HTTPExchange
internal import Logging
internal import Outbox
internal import OutboxWorker
internal import Postgres

/// Reads settings and collects what is wrong with them.
struct SettingReader {
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
        worker.exchanger.caFile = authorities()
        worker.exchanger.http2 = flag("POSTRIDER_HTTP2") ?? worker.exchanger.http2
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
                fault("POSTRIDER_LOG_LEVEL", "\(level.debugDescription) is none of \(form("POSTRIDER_LOG_LEVEL"))")
            }
        }
        return settings
    }

    private mutating func fault(_ variable: String, _ reason: String) { faults.append("\(variable): \(reason)") }

    /// What a setting takes, as its table says it.
    private func form(_ variable: String) -> String {
        Setting.all.first { $0.variable == variable }?.form ?? ""
    }

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

    /// The file of authorities. Without it every https request would fail, and deliveries would become dead letters.
    private mutating func authorities() -> String? {
        guard let path = text("POSTRIDER_CA_FILE") else { return nil }
        guard let bytes = try? FileContents.bytes(path, longest: Self.longestAuthorities) else {
            fault("POSTRIDER_CA_FILE", "\(path) cannot be read")
            return nil
        }
        if let reason = PEMText.fault(of: String(decoding: bytes, as: UTF8.self), as: .certificate) {
            fault("POSTRIDER_CA_FILE", "\(path): \(reason)")
        }
        return path
    }

    /// So much of the file of authorities is looked at; 1 MiB. Some have a long text before the first certificate.
    private static let longestAuthorities = 1 << 20

    /// What destinations may use of this process.
    private mutating func grants() -> ProcessGrants {
        var grants = ProcessGrants()
        for entry in list("POSTRIDER_EXPOSE") { expose(entry, in: &grants) }
        for entry in list("POSTRIDER_ALLOW_PROXY") { allowProxy(entry, in: &grants) }
        if let folder = text("POSTRIDER_TLS_FOLDER") {
            var isFolder = false
            if !FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder) || !isFolder {
                fault("POSTRIDER_TLS_FOLDER", "\(folder) is no folder")
            }
            grants.readFile = CertificateFolder(path: folder).read
        }
        return grants
    }

    /// An entry `NAME` or `NAME:shared`.
    private mutating func expose(_ entry: String, in grants: inout ProcessGrants) {
        let parts = entry.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard ReferenceText.isName(parts[0]), parts.count == 1 || parts.count == 2 && parts[1] == "shared" else {
            return fault("POSTRIDER_EXPOSE", "\(entry.debugDescription) is neither NAME nor NAME:shared")
        }
        let isOwn = parts[0] == "PGPASSWORD" || Setting.all.contains { $0.variable == parts[0] && $0.isSecret }
        guard !isOwn else {
            return fault("POSTRIDER_EXPOSE", "\(parts[0]) is the worker's own secret and is given to nobody")
        }
        guard let value = environment[parts[0]], !value.isEmpty else { return unsetVariables.append(parts[0]) }
        grants.variables[parts[0]] = ProcessGrants.Variable(value, isShared: parts.count == 2)
    }

    /// An entry `host:port` or `host:port:shared`.
    private mutating func allowProxy(_ entry: String, in grants: inout ProcessGrants) {
        let parts = entry.split(separator: ":", omittingEmptySubsequences: false)
        let isShared = parts.count == 3 && parts[2] == "shared"
        guard parts.count == 2 || isShared, !parts[0].isEmpty, let port = Int(parts[1]), (1...65_535).contains(port)
        else {
            return fault(
                "POSTRIDER_ALLOW_PROXY", "\(entry.debugDescription) is neither host:port nor host:port:shared")
        }
        grants.proxies["\(parts[0].lowercased()):\(port)"] = isShared
    }

    /// The entries of a list with commas, without blanks around them.
    private func list(_ variable: String) -> [String] {
        CommaList.entries(text(variable) ?? "")
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
            fault(variable, "\(text.debugDescription) is no \(form(variable)), written 500ms, 30s, 2m, 1h or 7d")
            return nil
        }
        return duration
    }
}
