// How long good receivers wait for their events, from the commit to the arrival.

import Foundation
import Postgres
import Synchronization
import TestSupport

/// Two hundred good receivers and a producer of modest pace.
struct GoodCompany: Sendable {
    static let places = 200
    let receiver: ScriptedReceiver
    private let outpost: Outpost
    /// A connection of its own, so that nothing else delays a commit.
    private let producer: Connection

    init(_ outpost: Outpost) async throws {
        self.outpost = outpost
        receiver = try ScriptedReceiver(places: Self.places) { _, _ in
            [.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), .again]
        }
        producer = try await Connection.open(ConnectionSettings(url: outpost.url))
        for place in 0..<Self.places { try await outpost.endpoint(receiver.url(place), events: "good.n\(place)") }
    }

    /// What one measurement found.
    struct Result: Sendable {
        /// Milliseconds from the commit's answer to the arrival, 99 of 100 at most.
        let p99: Double
        let sent: Int
        let lost: Int
        let duplicated: Int
    }

    /// Emits at a steady pace, each event its own commit, to all receivers in turn; waits until all have arrived.
    func measure(events: Int, aSecond rate: Int) async throws -> Result {
        receiver.forgetArrivals()
        var committed: [String: UInt64] = [:]
        let emit = Statement(name: "good emit", sql: "SELECT postrider.emit('good.n' || $1::int, '{}')::text")
        let start = MonotonicClock.now()
        for number in 0..<events {
            let due = start + UInt64(number) * 1_000_000_000 / UInt64(rate)
            let now = MonotonicClock.now()
            if due > now { try await Task.sleep(for: .nanoseconds(due - now), tolerance: .zero) }
            let rows = try await producer.query(emit, [.int4(Int32(number % Self.places))])
            committed[try rows[0].string(0)] = MonotonicClock.now()
        }
        try await eventually("the good events", within: .seconds(60)) { receiver.arrivals.count >= events }
        var waits: [Double] = []
        var seen: Set<String> = []
        for arrival in receiver.arrivals where seen.insert(arrival.id).inserted {
            guard let at = committed[arrival.id] else { continue }
            waits.append(arrival.at > at ? Double(arrival.at - at) / 1e6 : 0)
        }
        waits.sort()
        return Result(
            p99: waits[min(waits.count - 1, waits.count * 99 / 100)], sent: events, lost: events - waits.count,
            duplicated: receiver.arrivals.count - seen.count)
    }
}

/// Runs something again and again beside a measurement; the last time to its end.
func withBackground<Value: Sendable>(
    every pause: Duration, _ work: @escaping @Sendable () async throws -> Void, during body: () async throws -> Value
) async throws -> Value {
    // Not by cancelling it: that would cancel a query on its way, which then throws.
    let ended = Atomic(false)
    let background = Task {
        while !ended.load(ordering: .relaxed) {
            try await work()
            try? await Task.sleep(for: pause)
        }
    }
    do {
        let value = try await body()
        ended.store(true, ordering: .relaxed)
        try await background.value
        return value
    } catch {
        ended.store(true, ordering: .relaxed)
        throw error
    }
}

/// The middle one of some numbers; of an even count the upper one.
func median(_ numbers: [Double]) -> Double { numbers.sorted()[numbers.count / 2] }

/// A number with two decimals.
func rounded(_ number: Double) -> String { String(format: "%.2f", number) }
