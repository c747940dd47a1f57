// How often the bytes of a payload are copied on their way through a worker.

import CopyCounters

/// Large allocations and copies per delivery, counted in a worker that delivers payloads of several sizes.
struct Copies {
    /// Bytes of a payload: so small that nothing of it counts, one that is sent from a copy beside the headers, and one
    /// that is sent from where it is.
    private static let sizes = [300, 20_000, 100_000]
    /// Allocations and copies of fewer bytes do not count: pieces of a payload are larger than this, and little else is.
    private static let least = 8_192
    /// Events inserted at once.
    private static let portion = 50

    /// Events of each size.
    let events: Int

    /// Delivers the events of each size. What the smallest ones cost is what has nothing to do with payloads, and is
    /// subtracted.
    ///
    /// - Throws: ``BenchError`` when the worker fails or does not deliver.
    func measure(_ stage: Stage) throws -> [(variant: String, figures: [Sample])] {
        let receiver = try Receiver(stage.toolbox)
        defer { receiver.end() }
        try stage.createEndpoints(receiver.urls)
        let counters = try CopyCounter(stage.toolbox, least: Self.least)
        let worker = try stage.toolbox.startPostrider(
            ["worker"], databaseURL: stage.url, preloading: counters.preload)
        defer { worker.end() }
        var delivered = 0
        let costs = try Self.sizes.map { size in
            // The first ones of a size grow buffers that stay.
            try deliver(Self.portion, size, stage, worker, &delivered)
            let before = try counters.read()
            try deliver(events, size, stage, worker, &delivered)
            return Cost(try counters.read(), since: before, events: events)
        }
        return zip(Self.sizes, costs).dropFirst().map { size, cost in
            ("payloads of \(Table.number(Double(size))) bytes", cost.samples(beyond: costs[0], size: Double(size)))
        }
    }

    private func deliver(_ count: Int, _ size: Int, _ stage: Stage, _ worker: Child, _ delivered: inout Int) throws {
        let end = delivered + count
        while delivered < end {
            let portion = min(Self.portion, end - delivered)
            try stage.database.rows(Statements.fillLarge, "\(portion)", "\(size)")
            delivered += portion
            let deadline = Clock.seconds + 60
            while try stage.database.number(Statements.delivered) < Double(delivered) {
                if worker.hasEnded { _ = try worker.line(within: 0) }
                try Interruption.sleep(seconds: 0.005)
                if Clock.seconds > deadline { throw BenchError("A worker whose copies are counted delivers nothing.") }
            }
        }
    }

    /// What was counted for each event.
    private struct Cost {
        let allocations, allocated, copies, copied, received, sent: Double

        init(_ now: bench_copies, since before: bench_copies, events: Int) {
            func each(_ counter: KeyPath<bench_copies, UInt64>) -> Double {
                Double(now[keyPath: counter] - before[keyPath: counter]) / Double(events)
            }
            allocations = each(\.allocations)
            allocated = each(\.allocated_bytes)
            copies = each(\.copies)
            copied = each(\.copied_bytes)
            received = each(\.received_bytes)
            sent = each(\.sent_bytes)
        }

        func samples(beyond base: Cost, size: Double) -> [Sample] {
            [
                Sample("large allocations", allocations - base.allocations, "/delivery"),
                Sample("bytes allocated", (allocated - base.allocated) / size, "/byte of payload"),
                Sample("large copies", copies - base.copies, "/delivery"),
                Sample("bytes copied", (copied - base.copied) / size, "/byte of payload"),
                Sample("bytes received", (received - base.received) / size, "/byte of payload, by the kernel"),
                Sample("bytes sent", (sent - base.sent) / size, "/byte of payload, by the kernel"),
            ]
        }
    }
}
