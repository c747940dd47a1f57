// `postrider worker`.

internal import ArgumentParser
internal import HTTPExchange
internal import Logging
internal import OutboxWorker
internal import Postgres
internal import ServiceLifecycle
internal import UnixSignals
internal import Glibc

/// Delivers events until told to stop.
struct WorkerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker", abstract: "Claim events, deliver them and record what became of them.")

    func run() async throws {
        let environment = ProcessInfoEnvironment()
        var settings = WorkerSettings(database: ConnectionSettings(url: environment["DATABASE_URL"]))
        settings.allowsHTTP = environment["POSTRIDER_ALLOW_HTTP"] == "true"
        settings.exchanger.addressGuard = AddressGuard(
            allowing: try Network.list(environment["POSTRIDER_ALLOW_NETWORKS"] ?? ""))
        let worker = Worker(
            settings: settings,
            identity: WorkerIdentity(host: "localhost", processID: getpid(), version: Version.text),
            logger: Logger(label: "postrider"))
        let group = ServiceGroup(
            services: [worker], gracefulShutdownSignals: [.sigterm, .sigint],
            logger: Logger(label: "postrider.services"))
        try await group.run()
    }
}

struct ProcessInfoEnvironment {
    subscript(name: String) -> String? { getenv(name).map { String(cString: $0) } }
}
