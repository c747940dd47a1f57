// Payloads that functions in SQL make, on connections of their own. Fed by the dispatcher, run by the life of a worker.

internal import DequeModule
internal import Logging
internal import Outbox
internal import OutboxStore
internal import Postgres
internal import Synchronization

/// Calls transform functions for the deliveries that were set aside, in batches, and gives what came of it to the dispatcher.
///
/// Each function has a line of its own and takes turns with the others, so that one that is slow holds up its own deliveries
/// and little else. What would wait here for long goes back to Postgres.
final class Transformer: Sendable {
    /// How many functions run at once; 2.
    static let width = 2
    /// The most payloads of one call; 64.
    static let mostAtOnce = 64
    /// The most bytes of payload of one call, unless one payload alone has more; 1 MiB.
    static let mostBytes = 1 << 20
    /// What has waited longer than this goes back to Postgres; 3 s.
    static let patience: Int64 = 3_000_000
    /// While a call lasts longer than this, nothing more of its function is taken, so that it does not fill the memory that
    /// the others need; 200 ms.
    static let slowCall: Int64 = 200_000
    /// For how long deliveries of a function that took too long go back, in milliseconds; 5 s.
    static let timeoutPause: Int64 = 5_000
    /// For how long deliveries go back when Postgres could not be asked, in milliseconds; 1 s.
    static let troublePause: Int64 = 1_000

    private struct Load {
        let delivery: Delivery
        let since: Int64
    }

    private struct Line {
        var waiting = Deque<Load>()
        /// How many payloads go into a call: one after a call that took too long, then again more and more.
        var size = Transformer.mostAtOnce
        /// Since when a call runs; nil when none does.
        var busySince: Int64?
        /// Nothing is taken before this time, because a call took too long.
        var restsUntil: Int64 = 0

        func isOpen(at now: Int64) -> Bool {
            now >= restsUntil && now - (busySince ?? now) < Transformer.slowCall
        }
    }

    private struct State {
        var lines: [ExactText: Line] = [:]
        /// The functions that have work and are not running, in the order in which they get a turn.
        var turns = Deque<ExactText>()

        /// Whether the line took it.
        mutating func append(_ load: Load, to function: ExactText) -> Bool {
            var line = lines[function] ?? Line()
            guard line.isOpen(at: load.since) else { return false }
            line.waiting.append(load)
            if line.waiting.count == 1, line.busySince == nil { turns.append(function) }
            lines[function] = line
            return true
        }

        /// A line whose turn has ended; one that is empty and has nothing to remember is forgotten.
        mutating func put(_ line: Line, for function: ExactText) {
            if !line.waiting.isEmpty { turns.append(function) }
            lines[function] = line.waiting.isEmpty && line.size == Transformer.mostAtOnce ? nil : line
        }
    }

    /// One call.
    private struct Batch {
        let function: ExactText
        let loads: [Load]
    }

    private let state = Mutex(State())
    private let signals = (0..<width).map { _ in Signal() }

    /// Takes deliveries that need a function. Any thread may call it; it does not block.
    ///
    /// - Returns: those that it does not take, because their function is slow now.
    func take(_ deliveries: [Delivery]) -> [Delivery] {
        let now = WorkerClock.now()
        let refused = state.withLock { state in
            deliveries.filter { !state.append(Load(delivery: $0, since: now), to: Self.function(of: $0)) }
        }
        for signal in signals { signal.raise() }
        return refused
    }

    /// Works until cancelled.
    func run(_ context: LifeContext) async {
        await withTaskGroup(of: Void.self) { group in
            for signal in signals {
                group.addTask {
                    var trouble = Trouble()
                    while !Task.isCancelled {
                        guard let batch = self.next() else {
                            await signal.wait(atMost: .seconds(60))
                            continue
                        }
                        await self.call(batch, context, &trouble)
                    }
                }
            }
        }
    }

    private static func function(of delivery: Delivery) -> ExactText {
        guard case .function(let destination) = delivery.parcel.unready else { return ExactText("") }
        return ExactText(destination.options.transformFunction ?? "")
    }

    private static func input(of delivery: Delivery) -> (data: [UInt8], context: [UInt8]) {
        let event = delivery.parcel.event
        guard case .function(let destination) = delivery.parcel.unready else { return (event.data, []) }
        let context = TransformContext.text(
            event: event, destinationID: destination.uuid, destinationName: destination.name)
        return (event.data, context)
    }

    private func next() -> Batch? {
        state.withLock { state in
            guard let function = state.turns.popFirst(), var line = state.lines[function] else { return nil }
            var loads: [Load] = []
            var bytes = 0
            while loads.count < line.size, bytes < Self.mostBytes, let load = line.waiting.popFirst() {
                loads.append(load)
                bytes += load.delivery.parcel.event.data.count
            }
            line.busySince = WorkerClock.now()
            state.lines[function] = line
            return Batch(function: function, loads: loads)
        }
    }

    // MARK: Calling

    private func call(_ batch: Batch, _ context: LifeContext, _ trouble: inout Trouble) async {
        guard !context.dispatcher.isDraining else { return end(batch, .all(.later(0)), context) }
        let inputs = batch.loads.map { Self.input(of: $0.delivery) }
        do {
            let answers = try await context.links.transform { connection in
                try await TransformStore.call(function: batch.function.text, inputs, on: connection)
            }
            _ = trouble.end()
            end(batch, .each(answers.map { Transformed($0) }), context)
        } catch let error as PostgresError where error.isPassing && !error.isTooLate {
            if trouble.isNews(error) {
                context.logger.error("payloads not transformed", metadata: ["error": "\(error)"])
            }
            end(batch, .all(.later(Self.troublePause)), context)
            // A task that was cancelled ends with the next look.
            try? await Task.sleep(for: trouble.pause)
        } catch is CancellationError {
            end(batch, .all(.later(0)), context)
        } catch {
            let isTooLate = (error as? PostgresError)?.isTooLate == true
            guard batch.loads.count == 1 else { return end(batch, .again, context, isTooLate: isTooLate) }
            let message = isTooLate ? "the function took longer than \(TransformStore.timeout)" : "\(error)"
            end(batch, .all(.failed(message)), context, isTooLate: isTooLate)
        }
    }

    /// What became of a call.
    private enum Ending {
        case each([Transformed])
        case all(Transformed)
        /// One by one, since somebody of them may be at fault.
        case again
    }

    private func end(_ batch: Batch, _ ending: Ending, _ context: LifeContext, isTooLate: Bool = false) {
        let now = WorkerClock.now()
        let late = state.withLock { state -> [Load] in
            guard var line = state.lines[batch.function] else { return [] }
            line.busySince = nil
            if isTooLate {
                line.restsUntil = now + Self.timeoutPause * 1000
                // Also after a call with one payload: a line of full size that is empty is forgotten, and its rest with it.
                line.size = 1
            }
            let late = Array(line.waiting.filter { isTooLate || now - $0.since > Self.patience })
            line.waiting.removeFirst(late.count)
            switch ending {
            case .again:
                line.size = 1
                line.waiting.prepend(contentsOf: batch.loads)
            case .each: line.size = min(2 * line.size, Self.mostAtOnce)
            case .all: break
            }
            state.put(line, for: batch.function)
            return late
        }
        var results = late.map { ($0.delivery, Transformed.later(Self.timeoutPause)) }
        switch ending {
        case .each(let each): results += zip(batch.loads.map(\.delivery), each)
        case .all(let result): results += batch.loads.map { ($0.delivery, result) }
        case .again: break
        }
        context.dispatcher.transformed(results)
    }
}

extension Transformed {
    /// What an answer of the database means.
    init(_ answer: TransformAnswer) {
        switch answer {
        case .data(let data): self = .data(data)
        case .dropped: self = .dropped
        case .failed(let reason): self = .failed(reason)
        }
    }
}

extension PostgresError {
    /// True when the server stopped a statement that took longer than it may (query_canceled).
    fileprivate var isTooLate: Bool { sqlState == "57014" }
}
