// `postrider doctor`: each check one line, with the cure.

internal import ArgumentParser
internal import Outbox
internal import OutboxStore
internal import OutboxWorker
internal import Postgres

/// Looks for everything that may keep events from being delivered.
struct Doctor: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Look for what may keep events from being delivered. Exit status 1 when a check says fail.")
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let settings = try await Settings.loadForCommand()
        var findings: [Finding] = []
        try await Session.with { session in
            let version = try await Migrator(connection: session.raw).applied().last?.version ?? 0
            let wanted = Migration.all.last?.version ?? 0
            guard version == wanted else {
                return findings.append(
                    Finding(
                        .fail, "schema", "version \(version), this program needs \(wanted)",
                        version > wanted ? "a newer postrider" : "postrider migrate"))
            }
            findings.append(Finding(.ok, "schema", "version \(version), postrider \(Version.text)"))
            findings.append(Self.names(settings))
            findings.append(try await Pooling.check(session.raw))
            findings.append(await Hearing.check(settings))
            do {
                for record in try await session.run(.diagnosis) {
                    findings += Diagnosis(record: record, settings: settings).findings()
                }
            } catch let error as PostgresError where error.sqlState == "42501" {
                findings.append(
                    Finding(
                        .warn, "rights", "this login may not read what doctor looks at: \(error.message)",
                        "a login that is a member of postrider_auditor"))
            }
            do {
                // Before the secrets, which fewer may read: administrators and auditors may not.
                if let keys = session.keys {
                    findings += SecretFindings.wrongKeys(try await KeyStore.load(keys, on: session.raw))
                }
                findings += SecretFindings.all(try await SecretStore.census(on: session.raw), ring: session.keys)
            } catch let error as PostgresError where error.sqlState == "42501" {
                findings.append(
                    Finding(.ok, "secrets", "not looked at: this login may not read them, which is as it should be"))
            }
            do {
                findings += SecretExpiry.findings(
                    try await session.run(.secretExpiryList), within: session.secretWarning)
                findings += ProfileFindings.all(
                    try await ProfileStore.load(on: session.raw), try await session.run(.profileList))
            } catch let error as PostgresError where error.sqlState == "42501" {
                findings.append(
                    Finding(.ok, "secret expiry and profiles", "not looked at: this login may not read them"))
            }
        }
        for finding in findings { print(output.json ? finding.json : finding.line) }
        if findings.contains(where: { $0.level == .fail }) { throw ExitCode(1) }
    }

    /// Whether everything here that looks like a setting is one.
    private static func names(_ settings: Settings) -> Finding {
        let ignored = settings.ignoredNames
        return ignored.isEmpty
            ? Finding(.ok, "names of settings", "all are known")
            : Finding(
                .warn, "names of settings", "ignored: \(ignored.joined(separator: ", "))",
                "docs/configuration.md lists all")
    }
}

/// What one check found.
struct Finding {
    /// How bad it is.
    enum Level: String {
        case ok
        case warn
        case fail
    }

    let level: Level
    let check: String
    let text: String
    let cure: String?

    init(_ level: Level, _ check: String, _ text: String, _ cure: String? = nil) {
        self.level = level
        self.check = check
        self.text = text
        self.cure = cure
    }

    /// One line for people.
    var line: String {
        let start = level.rawValue + String(repeating: " ", count: 5 - level.rawValue.count)
        return "\(start) \(check): \(text)" + (cure.map { " → \($0)" } ?? "")
    }

    /// One line for machines.
    var json: String {
        Record(["level": level.rawValue, "check": check, "remark": text, "cure": cure]).text
    }
}

/// Whether a pooler stands between the program and the server.
enum Pooling {
    static func check(_ connection: Connection) async throws -> Finding {
        guard try await WorkerStore.isPooled(connection) else { return Finding(.ok, "connection", "direct") }
        return Finding(
            .warn, "connection", "through a pooler: session settings, prepared statements and locks may not hold",
            "DATABASE_URL or POSTRIDER_DIRECT_DATABASE_URL with a direct connection")
    }
}

/// Whether notifications arrive, which a pooler or a standby in between prevents.
enum Hearing {
    /// Listens on one connection and notifies on another.
    static func check(_ settings: Settings) async -> Finding {
        do {
            let isHeard = try await probe(settings)
            return isHeard
                ? Finding(.ok, "notifications", "arrive")
                : Finding(
                    .warn, "notifications", "do not arrive: workers poll instead, recovery takes longer",
                    "POSTRIDER_DIRECT_DATABASE_URL with a direct connection")
        } catch {
            return Finding(.warn, "notifications", "could not be tried: \(error)")
        }
    }

    private static func probe(_ settings: Settings) async throws -> Bool {
        let ear = try await Connection.open(settings.worker.directDatabase ?? settings.database)
        let mouth = try await Connection.open(settings.database)
        let isHeard = try await WorkerStore.isHeard(from: mouth, on: ear, within: .seconds(3))
        await ear.close()
        await mouth.close()
        return isHeard
    }
}
