// `postrider worker`.

internal import ArgumentParser
internal import FoundationEssentials
internal import Logging
internal import OutboxStore
internal import OutboxWorker
internal import Postgres
internal import ServiceLifecycle
internal import UnixSignals

/// Delivers events until told to stop.
struct WorkerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker",
        abstract: "Claim events, deliver them, and record what became of them.",
        discussion: """
            Run as many as you like; they share the work. SIGTERM or Ctrl-C stops in order: what is in flight ends and \
            is recorded, the rest is given back. A second signal, half a second later or more, ends the process at once.
            """)

    func run() async throws {
        let settings = try await Settings.load()
        if settings.worker.secretKeys != nil { try ProcessSecrecy.begin() }
        try await checkSchema(settings)
        var logger = Logger(label: "postrider", factory: { StreamLogHandler.standardError(label: $0) })
        logger.logLevel = settings.logLevel
        if !settings.ignoredNames.isEmpty {
            logger.warning(
                "there are no such settings, which are ignored",
                metadata: ["names": "\(settings.ignoredNames.joined(separator: ", "))"])
        }
        if !settings.unsetVariables.isEmpty {
            logger.warning(
                "exposed variables are not set: destinations that name them wait",
                metadata: ["variables": "\(settings.unsetVariables.joined(separator: ", "))"])
        }
        Descriptors.raise(for: 2 * settings.worker.maxInFlight, logger)
        let worker = Worker(
            settings: settings.worker,
            identity: WorkerIdentity(
                host: ProcessInfo.processInfo.hostName, processID: ProcessInfo.processInfo.processIdentifier,
                version: Version.text),
            logger: logger)
        var quiet = logger
        quiet.logLevel = .warning
        let group = ServiceGroup(services: [worker], gracefulShutdownSignals: [], logger: quiet)
        // Listened to from before the start, so that no signal finds nobody. Ends with the process.
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        let listener = Task { await Self.obey(signals, group) }
        try await group.run()
        listener.cancel()
    }

    /// The first signal stops in order, the second at once with the status that shells expect.
    private static func obey(_ signals: UnixSignalsSequence, _ group: ServiceGroup) async {
        var stops = StopSignals()
        for await signal in signals {
            switch stops.meaning() {
            case .first: await group.triggerGracefulShutdown()
            case .echo: break
            case .second: StopSignals.end(after: signal)
            }
        }
    }

    /// Refuses a schema that this program does not fit, before anything is claimed.
    private func checkSchema(_ settings: Settings) async throws {
        let connection = try await Connection.open(settings.database)
        defer { Task { await connection.close() } }
        let version = try await Migrator(connection: connection).version()
        let wanted = Migration.all.last?.version ?? 0
        guard version == wanted else {
            throw CommandFailure.schema(
                version == 0
                    ? "there is no schema postrider: run postrider migrate"
                    : "the schema has version \(version), this program needs \(wanted): run postrider migrate")
        }
    }
}
