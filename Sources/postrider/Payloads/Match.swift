// `postrider endpoints match`.

internal import ArgumentParser
internal import Outbox
internal import OutboxStore

/// Tells who would get an event.
struct Match: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List who would get an event, and why others would not: endpoints and n8n workflows.",
        discussion: """
            Nothing is written or sent. A sealed payload is opened with the keys that are here (POSTRIDER_SECRET_KEYS); without \
            its key nobody can tell what filters make of it.

              postrider endpoints match --type lead.created --data '{"country": "BR"}' --organization acme
              postrider endpoints match 01a1fc61-5643-7ab4-82fb-36796572a704
            """)
    @Argument(help: "An event that was written; or else --type.") var event: String?
    @Option(help: "Type of an event that could be.") var type: String?
    @Option(help: ArgumentHelp("Its payload: JSON, @file, or - for standard input.", valueName: "json"))
    var data: DataArgument?
    @Option(help: "Its organization.") var organization: String?
    @Option(help: "Its user.") var user: String?
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard (event != nil) != (type != nil) else { throw ValidationError("give the id of an event, or --type") }
        if event != nil, data != nil || organization != nil || user != nil {
            throw ValidationError("an event that was written has its own payload, organization and user")
        }
    }

    func run() async throws {
        if let type { try CommandFailure.naming("--type") { try EventType.validate(type) } }
        try await Session.with { session in
            let event = try await find(session)
            let payload = try payload(of: event, session.keys)
            let answers = try await MatchedDestination.all(session).map { destination in
                let answer = destination.answer(to: event, payload)
                return Record([
                    "name": destination.record["name"], "id": destination.record["id"],
                    "kind": destination.kind.word.rawValue, "gets_it": answer.getsIt, "remark": answer.remark,
                ])
            }
            let order: [JSONValue] = [.bool(true), .null, .bool(false)]
            Session.show(
                order.flatMap { getsIt in answers.filter { $0.value("gets_it") == getsIt } },
                [("gets it", "gets_it"), ("name", "name"), ("kind", "kind"), ("remark", "remark")],
                json: output.json)
        }
    }

    /// The payload, opened when it is sealed, or why it does not open; nil when it was written and cannot be parsed.
    private func payload(of event: Event, _ keys: KeyRing?) throws -> Result<ParsedPayload?, SealingError> {
        do {
            let data = try event.opened(with: keys).data
            guard self.event == nil else { return .success(try? ParsedPayload(parsing: data)) }
            return .success(try CommandFailure.naming("--data") { try ParsedPayload(parsing: data) })
        } catch let error as SealingError {
            return .failure(error)
        }
    }

    /// The event to ask for: one that was written, or one that could be.
    private func find(_ session: Session) async throws -> Event {
        var found = Event(
            id: EventID(high: 0, low: 0), type: type ?? "", createdAtMicroseconds: 0, organization: organization,
            user: user, data: try data?.bytes() ?? Array("{}".utf8))
        guard let event else { return found }
        let record = try await session.record(.eventShow, id: event, "event")
        found.id = EventID(event) ?? found.id
        found.type = record["event_type"]
        found.organization = record["organization_id"].isEmpty ? nil : record["organization_id"]
        found.user = record["user_id"].isEmpty ? nil : record["user_id"]
        found.data = Array(record["data_text"].utf8)
        return found
    }
}
