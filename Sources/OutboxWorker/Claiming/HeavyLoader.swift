// Large payloads, loaded one by one. Claims leave them in Postgres so that a batch fits into memory.

internal import Logging
internal import Outbox
internal import OutboxStore
internal import Postgres

/// Loads the payloads that claims left behind and hands each to the dispatcher, which keeps and counts what is to be
/// loaded.
///
/// Run by one task; ``wake()`` may be called from any.
final class HeavyLoader: Sendable {
    /// How often a payload is tried before its event goes back to Postgres, so that the others are loaded; 5.
    static let mostAttempts = 5
    /// Between attempts.
    static let attemptPause = Duration.milliseconds(200)
    /// Between looks for room; payloads of other exchanges free it as they end.
    static let roomPause = Duration.milliseconds(5)

    private let signal = Signal()

    /// Tells that there is something to load.
    func wake() { signal.raise() }

    /// Loads until cancelled.
    func run(_ context: LifeContext) async {
        while !Task.isCancelled {
            guard let load = context.dispatcher.takeLoad() else {
                await signal.wait(atMost: context.dispatcher.hasLoads ? Self.roomPause : .seconds(60))
                continue
            }
            await deliver(load, context)
        }
    }

    /// Hands an event in with its payload, or with why it is never sent, or gives it back.
    private func deliver(_ load: HeavyLoad, _ context: LifeContext) async {
        let event = load.work.event.id
        var attempts = 0
        while !Task.isCancelled {
            do {
                let payload = try await context.links.aside { try await ClaimStore.payload(of: event, on: $0) }
                if let work = work(load, payload, context) {
                    await accept(Claim(id: load.claim, work: [work]), load.settled, context.dispatcher)
                }
                return context.dispatcher.endLoad(load)
            } catch {
                guard !Task.isCancelled else { return }
                attempts += 1
                let level: Logger.Level = attempts < Self.mostAttempts ? .warning : .error
                context.logger.log(
                    level: level, "payload not loaded",
                    metadata: ["event.id": "\(event)", "attempt": "\(attempts)", "error": "\(error)"])
            }
            if attempts < Self.mostAttempts { await pause(context) }
            if attempts >= Self.mostAttempts || context.dispatcher.isDraining {
                return context.dispatcher.giveBack(load)
            }
        }
    }

    /// Waits before another attempt. An outage of Postgres is not held against the payload: nothing is loaded without a
    /// lease.
    private func pause(_ context: LifeContext) async {
        repeat {
            try? await Task.sleep(for: Self.attemptPause)
        } while !context.fence.isOpen && !context.dispatcher.isDraining && !Task.isCancelled
    }

    /// The work with its payload; nil when the event is gone.
    private func work(_ load: HeavyLoad, _ payload: StoredPayload, _ context: LifeContext) -> Claim.Work? {
        var event = load.work.event
        switch payload {
        case .data(let data):
            event.data = data
            return context.opened(Claim.Work(event: event, isHeavy: false, target: load.work.target))
        case .tooLarge:
            let fault = "the payload is larger than \(ClaimStore.largestPayload >> 20) MiB, the most that is sent"
            context.logger.error("payload not loaded", metadata: ["event.id": "\(event.id)", "error": "\(fault)"])
            return Claim.Work(event: event, isHeavy: false, target: load.work.target, fault: fault)
        case .gone: return nil
        }
    }

    /// Filters and templates parse a payload: a large one not on the thread on which heartbeats are answered.
    private func accept(_ claim: Claim, _ settled: Set<DeliveryKey>, _ dispatcher: Dispatcher) async {
        guard dispatcher.readsPayloads else { return dispatcher.accept(claim, settled: settled) }
        await withTaskExecutorPreference(globalConcurrentExecutor) {
            dispatcher.accept(claim, settled: settled)
        }
    }
}
