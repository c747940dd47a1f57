// `postrider demo`.

internal import ArgumentParser
internal import FoundationEssentials
internal import Postgres
internal import UnixSignals

/// Shows the whole road of events in a few seconds.
struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "See it work: rows become signed webhooks, fail, are retried, survive a killed worker.",
        discussion: """
            Uses the database of DATABASE_URL (or PG*), which must not hold a schema agentes nor any events; what the \
            demo makes there it removes at the end. Receivers listen on loopback. bin/demo brings its own database.
            """)

    @Flag(help: "Leave workers and receivers running and say how to look around.") var keep = false

    /// How a demo ended.
    private enum Ending: Sendable {
        case played(isRight: Bool)
        case failed(String)
        case interrupted
    }

    func run() async throws {
        let log = DemoLog()
        let start = ContinuousClock.now
        let stage = try await DemoStage(settings: Settings.loadForCommand().database, log: log)
        var ending = await play(on: stage)
        if keep, case .played(true) = ending {
            do {
                return try await tellHowToLookAround(stage)
            } catch {
                ending = .failed("\(error)")
            }
        }
        if case .failed = ending { tellLastWords(of: stage) }
        let left = await stage.close()
        for problem in left { log.failure(problem) }
        let seconds = ((ContinuousClock.now - start) / .seconds(1)).tenths
        switch ending {
        case .played(true) where left.isEmpty: log.success("cleaned up; \(seconds) s in all")
        case .played: throw ExitCode.failure
        case .failed(let reason):
            log.failure(reason)
            throw ExitCode.failure
        case .interrupted:
            log.result(left.isEmpty ? "interrupted; cleaned up" : "interrupted")
            throw ExitCode(130)
        }
    }

    /// Plays until the end, the first failure, or a signal.
    private func play(on stage: DemoStage) async -> Ending {
        let signals = await UnixSignalsSequence(trapping: [.sigint, .sigterm, .sighup])
        return await withTaskGroup(of: Ending.self) { group in
            group.addTask {
                do {
                    stage.log.title("Postrider demo")
                    try await stage.open()
                    var scenes = DemoScenes(stage: stage)
                    try await scenes.play()
                    return .played(isRight: try await DemoAudit(stage: stage, scenes: scenes).run())
                } catch {
                    return .failed("\(error)")
                }
            }
            group.addTask {
                for await _ in signals { break }
                return .interrupted
            }
            let first = await group.next() ?? .interrupted
            group.cancelAll()
            return first
        }
    }

    /// What the workers wrote last, which often tells why something did not happen.
    private func tellLastWords(of stage: DemoStage) {
        for worker in stage.workers where !worker.lastWords.isEmpty {
            stage.log.result("\(worker.name) wrote last:")
            for line in worker.lastWords.split(separator: "\n") { stage.log.action("  \(line)") }
        }
    }

    private func tellHowToLookAround(_ stage: DemoStage) async throws {
        let (processes, folder, isOwnFolder) = try await stage.leaveRunning()
        let log = stage.log
        log.title("Left running: two workers and three receivers")
        log.result("what arrives       tail -f \(folder.path)/receiver-*.log")
        log.result("make an event      psql \"$DATABASE_URL\" -c \"SELECT postrider.emit('payment.confirmed', '{}')\"")
        log.result("was it delivered?  psql \"$DATABASE_URL\" -c \"SELECT * FROM postrider.webhook_deliveries")
        log.result("                     ORDER BY webhook_event_id DESC LIMIT 10\"")
        // bin/demo, whose folder it is then, has a command for what comes next.
        guard isOwnFolder else { return }
        log.result("end it             kill \(processes.map { String($0.id) }.joined(separator: " "))")
        log.result("remove its traces  psql \"$DATABASE_URL\" \\")
        log.result("                     -c 'DROP SCHEMA agentes, postrider_attached, postrider CASCADE'")
    }
}
