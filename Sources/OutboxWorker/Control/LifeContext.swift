// What the tasks of one life of a worker share. Made by Life, handed to each task.

internal import Logging
internal import Outbox
internal import OutboxStore
internal import Postgres

/// One life of a worker: from its registration to its farewell, or until it is declared dead.
struct LifeContext: Sendable {
    /// `webhook_workers.id` of this life.
    let worker: Int64
    let settings: WorkerSettings
    let links: Links
    let dispatcher: Dispatcher
    let routingKeeper: RoutingKeeper
    let bell: Bell
    let heavyLoader: HeavyLoader
    let transformer: Transformer
    let fence: Fence
    /// What the exchanger has counted so far.
    let counts: @Sendable () -> WorkerCounts
    let logger: Logger

    /// Takes a claim into memory and starts what may start.
    func accept(_ claim: Claim, settled: Set<DeliveryKey> = []) {
        dispatcher.accept(opened(claim), settled: settled)
        if claim.work.contains(where: \.isHeavy) { heavyLoader.wake() }
    }

    /// The claim with its sealed payloads opened.
    private func opened(_ claim: Claim) -> Claim {
        guard claim.work.contains(where: \.event.isSealed) else { return claim }
        let work = claim.work.map { Claim.Work(event: opened($0.event), isHeavy: $0.isHeavy, target: $0.target) }
        return Claim(id: claim.id, work: work, rescues: claim.rescues)
    }

    /// The event with its payload opened. One that does not open stays sealed, and the dispatcher leaves it to workers that
    /// have the key.
    func opened(_ event: Event) -> Event {
        do {
            return try event.opened(with: settings.secretKeys)
        } catch {
            logger.error("payload not opened", metadata: ["event.id": "\(event.id)", "error": "\(error)"])
            return event
        }
    }

    /// Claims that the database holds for this worker and that the worker does not know: the answer to a claim was lost
    /// with its connection. Empty nearly always.
    ///
    /// - Parameters:
    ///   - age: only claims at least so old, so that an answer on its way is not taken for a lost one.
    ///   - connection: where to ask.
    /// - Throws: `PostgresError`.
    func forgottenClaims(olderThan age: Duration, on connection: Connection) async throws -> [Rescue] {
        let known = dispatcher.knownClaims()
        let forgotten = try await RescueStore.forgotten(worker: worker, known: known, olderThan: age, on: connection)
        if !forgotten.isEmpty {
            logger.warning("found claims whose answer was lost", metadata: ["claims": "\(forgotten.count)"])
        }
        return forgotten
    }

    /// Disables destinations whose receivers asked for it, aside from the road of events.
    func disable(_ destinations: [(destination: Int32, reason: String)]) {
        // A task of its own: the cycle must not wait for it, and what fails here is asked for again by the next answer.
        Task {
            for (destination, reason) in destinations {
                do {
                    try await links.aside { connection in
                        try await RoutingStore.disable(destination: destination, reason: reason, on: connection)
                    }
                    logger.warning(
                        "destination disabled: its receiver asked for it",
                        metadata: ["destination.id": "\(destination)", "reason": "\(reason)"])
                } catch {
                    logger.error("destination not disabled", metadata: ["error": "\(error)"])
                }
            }
        }
    }
}
