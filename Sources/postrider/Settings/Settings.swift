// The settings of a process, out of the environment and a file.

internal import Configuration
internal import FoundationEssentials
internal import Logging
internal import OutboxWorker
internal import Postgres

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
            providers.append(try ConfigFile.provider(path))
        }
        var reader = SettingReader(ConfigReader(providers: providers), environment)
        let settings = reader.settings()
        guard reader.faults.isEmpty else { throw CommandFailure.failed(reader.faults.joined(separator: "; ")) }
        return settings
    }
}
