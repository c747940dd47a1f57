// From criteria to a replay that runs: count, ask, store, drive. Used by the commands that begin one.

internal import Outbox
internal import OutboxStore

/// What somebody wants sent again.
struct ReplayOrder {
    let options: ReplayOptions
    /// The criteria of `postrider.replay_plan`.
    let criteria: Document

    /// Counts; without `--dry-run` asks, stores the replay and drives it to its end.
    ///
    /// - Throws: ``CommandFailure`` when it is not wanted, or when there is nothing to send because payloads are gone, or of
    ///   a delivery or event that was named.
    func carryOut(_ output: OutputOptions) async throws {
        try await Session.with { session in
            guard let plan = try await session.run(.replayPlan, criteria).first else { return }
            let planned = Int(plan.number("count") ?? 0)
            let lost = Int(plan.number("without_payload") ?? 0)
            if !options.dryRun, planned == 0, lost > 0 {
                throw CommandFailure.failed("not sent: retention removed the payload")
            }
            // A backfill of what the endpoint has got is done already.
            if planned == 0, lost == 0, options.namesOne, criteria["what"] as? String != "backfill" {
                throw CommandFailure.notFound(try await refusal(session))
            }
            if lost > 0 { Session.remark("\(lost) left out: retention removed their payloads") }
            if plan.isTrue("is_inactive") {
                Session.remark("\(plan["endpoint"]) is inactive: what is sent to it waits until it is enabled")
            }
            if !plan["filter"].isEmpty {
                Session.remark("the payload filter of \(plan["endpoint"]) may leave out some")
            }
            if options.dryRun || planned == 0 { return tell(plan, planned, lost, json: output.json) }
            if !plan["filter"].isEmpty { _ = try ReplayFilter.admits(plan["filter"], keys: session.keys) }
            let isBulk = options.delivery == nil && planned > 1
            guard !isBulk || options.yes || Session.confirms(question(planned, plan)) else {
                throw CommandFailure.failed("\(planned) deliveries not sent: add --yes")
            }
            let started = try await session.run(
                .replayStart, ["criteria": plan.value("criteria"), "planned": planned])
            let id = Int64(started.first?.number("id") ?? 0)
            if isBulk {
                Session.remark(
                    "replay \(id): \(planned) deliveries at \(RateArgument.text(options.rate.perSecond)); Ctrl-C pauses it"
                )
            }
            try await ReplayDriver(session: session, id: id).drive(json: output.json)
        }
    }

    private func tell(_ plan: Record, _ planned: Int, _ lost: Int, json: Bool) {
        if json { return print(#"{"count":\#(planned),"without_payload":\#(lost)}"#) }
        let time = planned > 1 ? ", in about \(ProgressLine.time(seconds(planned)))" : ""
        print("\(Self.deliveries(planned)) would be sent\(time)")
    }

    private func question(_ planned: Int, _ plan: Record) -> String {
        let since = plan.record("criteria")["since"]
        return "Send \(planned) deliveries" + (since.isEmpty ? "" : " of events since \(since)")
            + ", at \(RateArgument.text(options.rate.perSecond)), in about \(ProgressLine.time(seconds(planned)))?"
    }

    private func seconds(_ planned: Int) -> Double { Double(planned) / options.rate.perSecond }

    /// A count with its noun.
    static func deliveries(_ count: Int) -> String { Plural.text(count, "delivery", "deliveries") }
}
