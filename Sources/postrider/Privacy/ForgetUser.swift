// `postrider forget-user`.

internal import ArgumentParser
internal import Outbox
internal import OutboxStore
internal import Postgres

/// Erases what the outbox holds of a person.
struct ForgetUser: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Erase a person's payloads and response bodies, and drop what would be sent again.",
        discussion: """
            The person is the user_id of events. Ids, types, times and statuses stay. Only events that were made before are \
            touched: an event that tells receivers of the erasure is emitted afterwards. What a worker holds at that moment \
            may still be sent. Repeating it does no harm, and stopped half-way it is finished by workers.

              postrider forget-user u-3 --dry-run
              postrider forget-user ann@example.com --also-id --yes
            """)
    @Argument(help: "The user_id of the person's events.") var user: String
    @Option(help: "Only events of this organization.") var organization: String?
    @Flag(help: "Replace the user's id in events too, where it is the user_id, record_id or ordering key.")
    var alsoID = false
    @Flag(help: "Count, and erase nothing.") var dryRun = false
    @Flag(help: "Do not ask before erasing.") var yes = false
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if user.isEmpty { throw ValidationError("say whom to forget") }
    }

    func run() async throws {
        let person: Document = ["user": user, "organization_id": organization, "also_id": alsoID]
        try await Session.with { session in
            guard let plan = try await session.run(.forgetPlan, person).first else { return }
            if dryRun { return tell(plan, "would be") }
            let question = "Erase the payloads of \(Self.count(plan, "events", "event")) for good?"
            guard yes || Session.confirms(question) else { throw CommandFailure.failed("nothing erased: add --yes") }
            guard let begun = try await session.run(.forgetUser, person).first,
                let erasure = begun.number("erasure_id").map(Int.init)
            else { return }
            if !begun.isTrue("finished") { try await goOn(erasure, session) }
            guard let result = try await session.run(.erasureShow, ["erasure": erasure]).first else { return }
            if result["finished_at"].isEmpty {
                Session.remark(
                    "not finished: events of the person wait or are in flight, or a transaction is open; workers go on with it"
                )
            }
            tell(result, "")
        }
    }

    /// Batches until nothing is left to do here and now: at most three seconds of waiting for others.
    private func goOn(_ erasure: Int, _ session: Session) async throws {
        let pause = Duration.milliseconds(200)
        var waits = 0
        while waits < 15 {
            switch try await batch(erasure, session) {
            case "finished", "": return
            case "goes on": continue
            default:
                waits += 1
                try await Task.sleep(for: pause)
            }
        }
    }

    /// One batch: how it stands afterwards; empty when another session does it.
    private func batch(_ erasure: Int, _ session: Session) async throws -> String {
        do {
            guard let batch = try await session.run(.erasureGoOn, ["erasure": erasure]).first else { return "" }
            if !batch["reached"].isEmpty {
                let erased = Self.count(batch, "events", "more event")
                Session.remark("looked back to \(batch["reached"]), \(erased) erased")
            }
            return batch["state"]
        } catch let error as PostgresError where error.sqlState == "55P03" {
            return "waits"
        }
    }

    private func tell(_ record: Record, _ verb: String) {
        if output.json { return print(record.text) }
        let (erased, dropped) = verb.isEmpty ? ("erased", "dropped") : ("\(verb) erased", "\(verb) dropped")
        let answers = Self.count(record, "attempts", "attempt")
        print("\(Self.count(record, "events", "payload")) and the answers of \(answers) \(erased)")
        print("\(Self.count(record, "dropped", "delivery", "deliveries")) \(dropped)")
    }

    /// A member with what it counts.
    private static func count(_ record: Record, _ member: String, _ one: String, _ many: String? = nil) -> String {
        Plural.text(Int(record.number(member) ?? 0), one, many)
    }
}
