// Producers: connections of their own over libpq, each on a thread, at a steady pace. They write down what they know.

import CLibPQ
import Foundation
import Glibc
import Synchronization
import TestSupport

/// How producers behave.
struct LoadPlan: Sendable {
    /// Committed events a second, of all producers together.
    var eventsPerSecond = 300
    var producers = 8
    /// Every n-th turn of a producer inserts ten events in one statement.
    var bulkEvery = Form.pick(short: 10, long: 40)
    /// Every n-th turn is rolled back.
    var rollbackEvery = Form.pick(short: 7, long: 25)
    /// Every n-th turn the connection is cut between COMMIT and its answer.
    var severEvery = Form.pick(short: 9, long: 100)
}

/// A running load; ended by ``stop()``.
final class Load: Sendable {
    let plan: LoadPlan
    private let url: String
    private let lastMark: Atomic<Int64>
    private let isStopping = Atomic(false)
    private let running: Atomic<Int>
    private let notes = Mutex<[Ledger.Entry]>([])
    let startedAt = MonotonicClock.now()

    /// Starts producers.
    ///
    /// - Parameter marks: marks begin after this one; loads of one ledger must not share marks.
    init(url: String, plan: LoadPlan, after marks: Int64 = 0) {
        self.url = url
        self.plan = plan
        lastMark = Atomic(marks)
        running = Atomic(plan.producers)
        for place in 0..<plan.producers {
            Thread.detachNewThread { [self] in
                Producer(load: self, url: url, place: place).run()
                running.subtract(1, ordering: .acquiringAndReleasing)
            }
        }
    }

    /// What producers have written down so far.
    var entries: [Ledger.Entry] { notes.withLock { $0 } }

    /// Writes down an event that the scenario itself has committed.
    func write(_ mark: Int64) { note(mark...mark, .acknowledged) }

    /// Ends the load soon. Producers hold it, so a scenario that fails must say so: they would go on beside the next.
    func cancel() { isStopping.store(true, ordering: .relaxed) }

    /// Ends the load; the entries are complete afterwards.
    func stop() async throws {
        isStopping.store(true, ordering: .relaxed)
        try await eventually("producers to end") { running.load(ordering: .acquiring) == 0 }
    }

    fileprivate var isOver: Bool { isStopping.load(ordering: .relaxed) }

    /// New marks; gives the first of them.
    fileprivate func take(_ count: Int64) -> Int64 { lastMark.add(count, ordering: .relaxed).newValue - count + 1 }

    fileprivate func note(_ marks: ClosedRange<Int64>, _ fate: Ledger.Fate) {
        let now = MonotonicClock.now()
        notes.withLock { notes in for mark in marks { notes.append(Ledger.Entry(mark: mark, fate: fate, at: now)) } }
    }
}

/// One producer: its connection and its thread.
private final class Producer {
    /// What came of a command.
    private enum Answer {
        case done
        /// Postgres said no, and the connection works.
        case refused
        /// The connection has ended before an answer.
        case gone
    }

    private let load: Load
    private let url: String
    private var connection: OpaquePointer?
    private var due: UInt64

    init(load: Load, url: String, place: Int) {
        self.load = load
        self.url = url
        // Producers begin one after the other, not in step.
        due = MonotonicClock.now() + UInt64(place) * 1_000_000
    }

    func run() {
        var turn = 0
        while !load.isOver {
            MonotonicClock.sleep(until: due)
            guard connection != nil || connect() else {
                usleep(5_000)
                continue
            }
            advance(by: take(turn))
            turn += 1
        }
        disconnect()
    }

    /// The next turn is due after as long as its events may take; more than a second behind, the past is forgotten.
    private func advance(by events: Int) {
        due += UInt64(events) * 1_000_000_000 * UInt64(load.plan.producers) / UInt64(load.plan.eventsPerSecond)
        let now = MonotonicClock.now()
        if due + 1_000_000_000 < now { due = now }
    }

    /// One turn; how many events it may have committed.
    private func take(_ turn: Int) -> Int {
        let plan = load.plan
        if turn % plan.severEvery == plan.severEvery - 1 { return severed() }
        if turn % plan.rollbackEvery == plan.rollbackEvery - 1 { return rolledBack() }
        return committed(turn % plan.bulkEvery == plan.bulkEvery - 1 ? 10 : 1)
    }

    /// A statement that commits by itself.
    private func committed(_ count: Int64) -> Int {
        let first = load.take(count)
        let marks = first...(first + count - 1)
        switch emit(marks) {
        case .done: load.note(marks, .acknowledged)
        case .refused: load.note(marks, .rolledBack)
        case .gone: load.note(marks, .unknown)
        }
        return Int(count)
    }

    private func rolledBack() -> Int {
        let first = load.take(2)
        // COMMIT is never sent, so whatever happens to the connection, these must not arrive.
        load.note(first...(first + 1), .rolledBack)
        let isOpen = command("BEGIN") == .done && emit(first...first) == .done && emit((first + 1)...(first + 1)) == .done
        if !isOpen || command("ROLLBACK") != .done { disconnect() }
        return 0
    }

    /// COMMIT is sent, and the connection is cut before its answer can be read.
    private func severed() -> Int {
        let mark = load.take(1)
        guard command("BEGIN") == .done, emit(mark...mark) == .done else {
            load.note(mark...mark, .rolledBack)
            disconnect()
            return 0
        }
        PQsendQuery(connection, "COMMIT")
        PQflush(connection)
        shutdown(PQsocket(connection), Int32(SHUT_RDWR))
        disconnect()
        load.note(mark...mark, .unknown)
        return 1
    }

    // MARK: libpq

    private func connect() -> Bool {
        connection = PQconnectdb(url + "&connect_timeout=2&application_name=producer")
        guard PQstatus(connection) == CONNECTION_OK else {
            disconnect()
            return false
        }
        let sql = """
            INSERT INTO postrider.webhook_events (event_type, data)
            SELECT 'chaos.tick', jsonb_build_object('ledger', mark) FROM generate_series($1::bigint, $2::bigint) AS mark
            """
        return answer(PQprepare(connection, "emit", sql, 2, nil)) == .done
    }

    private func disconnect() {
        PQfinish(connection)
        connection = nil
    }

    private func emit(_ marks: ClosedRange<Int64>) -> Answer {
        "\(marks.lowerBound)".withCString { first in
            "\(marks.upperBound)".withCString { last in
                answer(PQexecPrepared(connection, "emit", 2, [first, last], nil, nil, 0))
            }
        }
    }

    private func command(_ sql: String) -> Answer { answer(PQexec(connection, sql)) }

    private func answer(_ result: OpaquePointer?) -> Answer {
        defer { PQclear(result) }
        let status = PQresultStatus(result)
        if status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK { return .done }
        // Class 57P is the server ending the session: whether the statement took effect before is not known.
        let state = PQresultErrorField(result, Int32(UInt8(ascii: "C"))).map { String(cString: $0) } ?? ""
        if PQstatus(connection) == CONNECTION_OK, !state.isEmpty, !state.hasPrefix("57P") { return .refused }
        disconnect()
        return .gone
    }
}
