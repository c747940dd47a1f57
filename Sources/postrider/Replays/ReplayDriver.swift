// Moves a replay on, batch after batch, until it ends, somebody else stops it, or a signal pauses it.

internal import ArgumentParser
internal import Outbox
internal import OutboxStore
internal import Postgres
internal import UnixSignals

/// The driver of one replay, for the length of a command.
struct ReplayDriver {
    let session: Session
    /// `webhook_replays.id`.
    let id: Int64

    /// How often it looks whether somebody paused or cancelled it; 1 s.
    private static let longestWait = Duration.seconds(1)

    /// Drives, showing how far it is, and tells how it ended.
    ///
    /// - Throws: `ExitCode` 130 or 143 after a signal, when the replay is paused; ``CommandFailure`` when it failed, or
    ///   somebody else paused or cancelled it; `PostgresError`: it can be resumed then.
    func drive(json: Bool) async throws {
        let interruption = Interruption()
        // Trapped from before the first batch, so that Ctrl-C always pauses.
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        // Ends with the command; a second signal ends the process.
        let listener = Task { await interruption.obey(signals) }
        defer { listener.cancel() }
        let state: String
        do {
            state = try await batches(interruption)
        } catch {
            Session.remark("replay \(id) stopped half-way; when that is mended: postrider replay resume \(id)")
            throw error
        }
        let record = try await Replay.find(id, session)
        json ? print(record.text) : tell(record)
        if let signal = interruption.signal, state == "paused" {
            Session.remark("paused; to go on: postrider replay resume \(id)")
            throw ExitCode(signal == .sigint ? 130 : 143)
        }
        if state == "failed" { throw CommandFailure.failed("replay \(id) failed: \(record["error"])") }
        guard state == "done" else { throw CommandFailure.failed("replay \(id) was \(state) by somebody else") }
    }

    private func tell(_ record: Record) {
        print("\(ReplayOrder.deliveries(Int(record.number("scheduled") ?? 0))) scheduled")
        for (member, reason) in [
            ("without_payload", "retention removed their payloads"),
            ("filtered", "the payload filter does not want them"),
        ] {
            let count = Int(record.number(member) ?? 0)
            if count > 0 { Session.remark("\(count) left out: \(reason)") }
        }
    }

    /// Batches until the end; the state it ends in.
    private func batches(_ interruption: Interruption) async throws -> String {
        let record = try await Replay.find(id, session)
        var filters = ReplayFilter.Reader(keys: session.keys)
        let isBackfill = record["what"] == "backfill"
        var scheduled = Int(record.number("scheduled") ?? 0)
        var progress = ProgressLine(
            total: Int(record.number("planned") ?? 0), perSecond: record.number("rate") ?? 0)
        defer { progress.end() }
        while true {
            if interruption.signal != nil {
                return try await session.run(.replaySwitch, ["id": id, "state": "paused"]).first?["state"] ?? "gone"
            }
            let step =
                isBackfill
                ? try await ReplayStore.next(id, reading: { try filters.read($0) }, on: session.raw)
                : try await ReplayStore.next(id, on: session.raw)
            scheduled += step.scheduled
            progress.tell(scheduled)
            if step.state != "running" { return step.state }
            await interruption.sleep(for: min(step.wait, Self.longestWait))
        }
    }
}
