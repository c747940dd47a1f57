// What is waited out, what is told, and how long the waits are.

import Logging
import Postgres
import Testing

@testable import OutboxWorker

@Suite struct TroubleTests {
    private func refusal(_ state: String) -> PostgresError {
        PostgresError(code: .server, message: "refused", sqlState: state)
    }

    /// Read-only, disk full, too many connections, starting, serialization, I/O, no room for notifications.
    @Test(arguments: ["25006", "53100", "53300", "57P03", "40001", "58030", "54000"])
    func troubleOfTheServerIsWaitedOutForEver(_ state: String) {
        var trouble = Trouble()
        let verdicts = (0..<1000).map { _ in trouble.isHopeless(refusal(state), patience: 5) }
        #expect(!verdicts.contains(true))
    }

    @Test(arguments: ["42P01", "42501", "22003", "23514", "XX000"])
    func refusalOfAStatementIsNotWaitedOut(_ state: String) { #expect(!refusal(state).isWaitedOut) }

    @Test(arguments: [PostgresError.Code.connectionFailed, .connectionLost, .timedOut, .closed])
    func lostConnectionsAreWaitedOutForEver(_ code: PostgresError.Code) {
        var trouble = Trouble()
        let error = PostgresError(code: code, message: "lost")
        let verdicts = (0..<1000).map { _ in trouble.isHopeless(error, patience: 5) }
        #expect(!verdicts.contains(true))
    }

    @Test func statementRefusedAgainAndAgainIsHopeless() {
        var trouble = Trouble()
        let verdicts = (0..<5).map { _ in trouble.isHopeless(refusal("42P01"), patience: 5) }
        #expect(verdicts == [false, false, false, false, true])
        // A server that shuts down between tells that it was in trouble itself.
        var other = Trouble()
        let states = ["42P01", "42P01", "42P01", "42P01", "57P01", "42P01"]
        let others = states.map { other.isHopeless(refusal($0), patience: 5) }
        #expect(!others.contains(true))
    }

    @Test func onlyAnotherKindIsNews() {
        var trouble = Trouble()
        let full = (0..<100).map { _ in trouble.isNews(refusal("53100")) }
        #expect(full.first == true)
        #expect(!full.dropFirst().contains(true))
        let lost = trouble.isNews(PostgresError(code: .connectionLost, message: "lost"))
        let again = trouble.isNews(refusal("53100"))
        #expect(lost && again)
        let (first, second) = (trouble.end(), trouble.end())
        #expect(first != nil && second == nil)
        let later = trouble.isNews(refusal("53100"))
        #expect(later)
    }

    @Test func waitsGrowToAQuarterOfASecond() {
        var trouble = Trouble()
        var pauses: [Duration] = []
        for _ in 0..<7 {
            _ = trouble.isNews(refusal("53100"))
            pauses.append(trouble.pause)
        }
        #expect(pauses == [0, 20, 40, 80, 160, 250, 250].map { .milliseconds($0) })
    }

    @Test func whatFailsInARoundIsLeftToTheNext() async throws {
        let logger = Logger(label: "rounds", factory: { _ in SwiftLogNoOpLogHandler() })
        let error = refusal("53100")
        var trouble = Trouble()
        try await trouble.attempt("round failed", logger) { throw error }
        let known = trouble.isNews(error)
        #expect(!known)
        try await trouble.attempt("round failed", logger) {}
        let isOver = trouble.isNews(error)
        #expect(isOver)
    }

    @Test func cancelledRoundsEnd() async {
        let task = Task {
            var trouble = Trouble()
            withUnsafeCurrentTask { $0?.cancel() }
            let logger = Logger(label: "rounds", factory: { _ in SwiftLogNoOpLogHandler() })
            try await trouble.attempt("round failed", logger) { throw PostgresError(code: .cancelled, message: "cancelled") }
        }
        await #expect(throws: CancellationError.self) { try await task.value }
    }
}
