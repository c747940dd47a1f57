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
    let provenKeys: ProvenKeys
    let fence: Fence
    /// What the exchanger has counted so far.
    let counts: @Sendable () -> WorkerCounts
    let logger: Logger

    /// Takes a claim that was adopted into memory and starts what may start.
    func accept(_ claim: Claim, settled: Set<DeliveryKey> = []) {
        dispatcher.accept(opened(claim), settled: settled)
        dispatcher.adopted(claim: claim.id)
        if claim.work.contains(where: \.isHeavy) { heavyLoader.wake() }
    }

    /// The claim with its sealed payloads opened.
    private func opened(_ claim: Claim) -> Claim {
        guard claim.work.contains(where: \.event.isSealed) else { return claim }
        return Claim(id: claim.id, work: claim.work.map { opened($0) }, rescues: claim.rescues)
    }

    /// The work with its payload opened. One that this worker's keys do not open stays sealed, and the dispatcher leaves it to
    /// others. One that was never sealed, or does not open with a key whose proof opens, has a fault: whoever waited for it
    /// would wait for ever.
    func opened(_ work: Claim.Work) -> Claim.Work {
        do throws(SealingError) {
            let event = try work.event.opened(with: settings.secretKeys)
            return Claim.Work(event: event, isHeavy: work.isHeavy, target: work.target)
        } catch {
            logger.error("payload not opened", metadata: ["event.id": "\(work.event.id)", "error": "\(error)"])
            return Claim.Work(
                event: work.event, isHeavy: work.isHeavy, target: work.target,
                fault: Event.openingFault(error) { provenKeys.contains($0) })
        }
    }

    /// Takes into memory the claims that the database holds for this worker and that the worker does not know: the answer
    /// to a claim was lost with its connection. None nearly always.
    ///
    /// - Parameters:
    ///   - age: only claims at least so old, so that an answer on its way is not taken for a lost one.
    ///   - connection: where to ask; nil for aside.
    ///   - timeout: the longest time for the question, and for each claim; nil for the connection's.
    /// - Throws: `PostgresError`; what was loaded before is accepted.
    func acceptForgotten(
        olderThan age: Duration, on connection: Connection? = nil, timeout: Duration? = nil
    ) async throws {
        let (_, count) = try await takeIn(on: connection, timeout: timeout) { connection in
            let known = dispatcher.knownClaims()
            return try await RescueStore.findForgotten(
                worker: worker, known: known, olderThan: age, on: connection, timeout: timeout)
        }
        if count > 0 {
            logger.warning("found claims whose answer was lost", metadata: ["claims": "\(count)"])
        }
    }

    /// Finds claims and takes them into memory, once the destinations there are at least as new as they are: one that is
    /// missing would never get their events.
    ///
    /// - Parameters:
    ///   - connection: where to ask; nil for aside.
    ///   - timeout: the longest time for each claim; nil for the connection's.
    ///   - find: asks for the claims.
    /// - Returns: what was found, and how many of them were taken in; others may have been faster.
    /// - Throws: `PostgresError`; what was not loaded before is this worker's all the same, and found as forgotten.
    @discardableResult
    func takeIn(
        on connection: Connection? = nil, timeout: Duration? = nil,
        _ find: @Sendable (Connection) async throws -> [SeizedClaim]
    ) async throws -> (found: [SeizedClaim], taken: Int) {
        let (claims, version) = try await ask(on: connection) { connection -> ([SeizedClaim], Int64) in
            let claims = try await find(connection)
            guard !claims.isEmpty else { return ([], 0) }
            return (claims, try await RoutingStore.version(on: connection, timeout: timeout))
        }
        guard !claims.isEmpty else { return ([], 0) }
        // Nothing is held aside meanwhile: destinations are loaded there too, and those who wait for them could hold it all.
        try await routingKeeper.ensure(version: version)
        let count = try await ask(on: connection) { connection in
            try await RescueStore.load(claims, into: self, on: connection, timeout: timeout)
        }
        return (claims, count)
    }

    private func ask<Result: Sendable>(
        on connection: Connection?, _ body: @Sendable (Connection) async throws -> Result
    ) async throws -> Result {
        guard let connection else { return try await links.aside(body) }
        return try await body(connection)
    }

    /// Disables destinations whose receivers asked for it, aside from the road of events.
    func disable(_ destinations: [DisabledDestination]) {
        // A task of its own: the cycle must not wait for it, and what fails here is asked for again by the next answer.
        Task {
            for one in destinations {
                do {
                    let isDisabled = try await links.aside { connection in
                        try await RoutingStore.disable(
                            destination: one.destination, reason: one.reason, url: one.url, on: connection)
                    }
                    guard isDisabled else { continue }
                    logger.warning(
                        "destination disabled: its receiver asked for it",
                        metadata: ["destination.id": "\(one.destination)", "reason": "\(one.reason)"])
                } catch {
                    logger.error("destination not disabled", metadata: ["error": "\(error)"])
                }
            }
        }
    }
}

extension LifeContext: ClaimHolder {
    func adopt(claim: Int64) -> Bool { dispatcher.adopt(claim: claim) }

    func abandon(claim: Int64) { dispatcher.abandon(claim: claim) }

    func accept(_ rescue: Rescue) {
        if rescue.claim.rescues >= RescueStore.mostRescues {
            logger.error(
                "event not sent any more: workers died while they held it",
                metadata: ["events": "\(rescue.claim.work.map(\.event.id))", "workers": "\(rescue.claim.rescues)"])
        }
        accept(rescue.claim, settled: rescue.settled)
    }
}
