// The settings of a process, out of the environment and a file.

internal import Configuration
internal import FoundationEssentials
internal import Logging
internal import Outbox
internal import OutboxWorker
internal import Postgres
internal import Synchronization

/// The settings of this process, checked.
struct Settings: Sendable {
    var worker: WorkerSettings
    var logLevel = Logger.Level.info
    /// Variables that are exposed and not set: workers warn of them, other commands need them seldom.
    var unsetVariables: [String] = []
    /// Variables that look like settings and are none, and members of the file that are none, each with the setting that may be meant.
    var ignoredNames: [String] = []

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
        var keys: [String] = []
        if let path = environment["POSTRIDER_CONFIG_FILE"], !path.isEmpty {
            let file = try ConfigFile.provider(path)
            providers.append(file.provider)
            keys = file.keys
        }
        var reader = SettingReader(ConfigReader(providers: providers), environment)
        var settings = reader.settings()
        settings.ignoredNames = IgnoredNames.all(
            environment: environment, keys: keys, named: settings.worker.grants.variables.keys + optionNames)
        guard reader.faults.isEmpty else { throw CommandFailure.failed(reader.faults.joined(separator: "; ")) }
        return settings
    }

    /// What the command line names, such as the variable of `--secret-env`, which is read and is no setting.
    private static var optionNames: [String] {
        ProcessInfo.processInfo.arguments.flatMap { $0.split(separator: "=").map(String.init) }
    }

    /// Reads them for a command, and tells on standard error, once in the life of the process, which names are ignored.
    ///
    /// - Throws: ``CommandFailure`` that names every setting that is wrong, at once.
    static func loadForCommand() async throws -> Settings {
        let settings = try await load()
        if !settings.ignoredNames.isEmpty, !hasTold.exchange(true, ordering: .relaxed) {
            Session.remark("note: no such settings, ignored: \(settings.ignoredNames.joined(separator: ", "))")
        }
        return settings
    }

    private static let hasTold = Atomic(false)
}
