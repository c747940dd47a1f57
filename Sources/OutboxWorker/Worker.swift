// The worker as a service. Run by `postrider worker`, by the demo and by tests.

public import Logging
internal import Postgres
public import ServiceLifecycle
internal import Synchronization

/// Claims events, sends them and records what became of them, until its service group shuts down gracefully.
///
/// Any number of workers may run on one database, in one process or in many. After a graceful shutdown everything that
/// was sent is recorded and everything else is back in Postgres; when the server is away at the end, the rest is taken over
/// once the lease has run out. Cancelling its task ends it at once: what was in flight
/// is sent again by another worker.
public struct Worker: Service {
    private let settings: WorkerSettings
    private let identity: WorkerIdentity
    private let logger: Logger

    /// Makes a worker; nothing happens before ``run()``.
    public init(settings: WorkerSettings, identity: WorkerIdentity, logger: Logger) {
        self.settings = settings
        self.identity = identity
        self.logger = logger
    }

    /// Works until a graceful shutdown.
    ///
    /// - Throws: `PostgresError` when Postgres cannot be reached at the start or refuses what the worker records;
    ///   ``SecretKeyError`` when a secret is sealed with a key that this worker lacks; `CancellationError`.
    public func run() async throws {
        // Nearly everything a worker does is a question to Postgres or the answer to one.
        try await withTaskExecutorPreference(ConnectionThread.executor) { try await live() }
    }

    private func live() async throws {
        let switchboard = Switchboard()
        if settings.secretKeys == nil {
            logger.warning(
                "secrets stand readable in the database", metadata: ["cure": "set POSTRIDER_SECRET_KEYS"])
        }
        try await withGracefulShutdownHandler {
            var isFirst = true
            while !switchboard.isStopped {
                guard let life = try await begin(isFirst: isFirst, switchboard) else { return }
                isFirst = false
                switchboard.connect { life.stop() }
                do {
                    return try await life.run()
                } catch LifeEnd.declaredDead {
                    // Paused or cut off for longer than the lease: others have the claims. A new life, with a new id.
                    logger.warning("declared dead by another worker: starting anew")
                } catch LifeEnd.otherWay {
                    logger.warning("another way to Postgres than before: starting anew")
                    // Where each connection takes another way it comes to this again and again.
                    try await Task.sleep(for: .milliseconds(200))
                }
            }
        } onGracefulShutdown: {
            switchboard.stop()
        }
    }
}

extension Worker {
    /// Begins a life, and waits for Postgres where that helps. Until Postgres has let this worker in, it does not: a wrong
    /// setting is told at once.
    ///
    /// - Returns: nil when the worker is to stop.
    private func begin(isFirst: Bool, _ switchboard: Switchboard) async throws -> Life? {
        var wasLetIn = !isFirst
        var trouble = Trouble()
        while !switchboard.isStopped {
            do {
                let life = try await Life.begin(settings, identity: identity, needsKeys: isFirst, logger: logger)
                if let lasted = trouble.end() { logger.notice("work goes on", metadata: ["after": "\(lasted)"]) }
                return life
            } catch let error as PostgresError
                where (wasLetIn || error.code == .connectionLost) && error.isWaitedOut
            {
                if trouble.isNews(error) {
                    logger.warning("no connection to Postgres", metadata: ["error": "\(error)"])
                }
                wasLetIn = true
                try await Task.sleep(for: .milliseconds(200))
            }
        }
        return nil
    }
}

/// Who a worker is, for people who look at `webhook_workers`.
public struct WorkerIdentity: Sendable {
    /// The host's name.
    public var host: String
    /// The process id.
    public var processID: Int32
    /// The program's version.
    public var version: String

    /// Makes an identity.
    public init(host: String, processID: Int32, version: String) {
        self.host = host
        self.processID = processID
        self.version = version
    }
}

/// Brings the request to stop to whichever life is running, also when it comes before there is one.
private final class Switchboard: Sendable {
    private struct State {
        var isStopped = false
        var stop: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())

    var isStopped: Bool { state.withLock { $0.isStopped } }

    /// Names who is to be told; told at once when the request has come already.
    func connect(_ stop: @escaping @Sendable () -> Void) {
        let isLate = state.withLock { state in
            state.stop = stop
            return state.isStopped
        }
        if isLate { stop() }
    }

    func stop() {
        let stop = state.withLock { state in
            state.isStopped = true
            return state.stop
        }
        stop?()
    }
}
