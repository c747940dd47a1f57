// Large payloads, loaded one by one. Claims leave them in Postgres so that a batch fits into memory.

internal import Logging
internal import Outbox
internal import OutboxStore
internal import Postgres

/// Loads the payloads that claims left behind and hands each to the dispatcher, while there is room for it.
///
/// Run by one task; ``take(_:settled:)`` may be called from any.
final class HeavyLoader: Sendable {
    private struct Load: Sendable {
        let claim: Int64
        let work: Claim.Work
        let settled: Set<DeliveryKey>
    }

    private let queue: AsyncStream<Load>
    private let entrance: AsyncStream<Load>.Continuation

    init() { (queue, entrance) = AsyncStream.makeStream() }

    /// Splits a claim: its large payloads are queued here, with the claim held open for each, the rest is given back.
    func take(_ claim: Claim, settled: Set<DeliveryKey>, dispatcher: Dispatcher) -> Claim {
        guard claim.rescues < RescueStore.mostRescues, claim.work.contains(where: \.isHeavy) else { return claim }
        for work in claim.work where work.isHeavy {
            dispatcher.hold(claim: claim.id)
            entrance.yield(Load(claim: claim.id, work: work, settled: settled))
        }
        return Claim(id: claim.id, work: claim.work.filter { !$0.isHeavy }, rescues: claim.rescues)
    }

    /// Loads until cancelled.
    func run(_ context: LifeContext) async {
        for await load in queue {
            // The dispatcher's byte limit is the room; payloads of other exchanges free it as they end.
            while context.dispatcher.gauge().room == 0, !Task.isCancelled {
                try? await Task.sleep(for: .milliseconds(5))
            }
            await deliver(load, context)
            if Task.isCancelled { return }
        }
    }

    /// Filters and templates parse a payload: a large one not on the thread on which heartbeats are answered.
    private func accept(_ claim: Claim, _ settled: Set<DeliveryKey>, _ dispatcher: Dispatcher) async {
        guard dispatcher.readsPayloads else { return dispatcher.accept(claim, settled: settled) }
        await withTaskExecutorPreference(globalConcurrentExecutor) {
            dispatcher.accept(claim, settled: settled)
        }
    }

    private func deliver(_ load: Load, _ context: LifeContext) async {
        var trouble = Trouble()
        while !Task.isCancelled {
            do {
                let data = try await context.links.aside { connection in
                    try await ClaimStore.payload(of: load.work.event.id, on: connection)
                }
                if let data {
                    var event = load.work.event
                    event.data = data
                    let work = Claim.Work(event: context.opened(event), isHeavy: false, target: load.work.target)
                    await accept(Claim(id: load.claim, work: [work]), load.settled, context.dispatcher)
                }
                return context.dispatcher.release(claim: load.claim)
            } catch {
                if trouble.isNews(error) {
                    context.logger.error("payload not loaded", metadata: ["error": "\(error)"])
                }
                try? await Task.sleep(for: .milliseconds(200))
            }
        }
    }
}
