// `postrider emit`.

internal import ArgumentParser
internal import OutboxStore

/// Writes one event.
struct Emit: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write one event and print its id.",
        discussion: """
              postrider emit lead.created --data '{"id": 17}'
              postrider emit lead.created --data @lead.json
              … | postrider emit lead.created --data -
            """)
    @Argument(help: "The type, dotted words.") var type: String
    @Option(help: ArgumentHelp("The payload: JSON, @file, or - for standard input.", valueName: "json")) var data:
        String
    @Option(help: "Organization it belongs to.") var organization: String?
    @Option(help: "User it belongs to.") var user: String?
    @Option(help: "Key of the record it is about.") var recordID: String?
    @Option(help: "Events of one key go in order to destinations with the option order.") var orderingKey: String?
    @Option(help: "How urgent it is.") var priority = Priority.normal
    @OptionGroup var output: OutputOptions

    /// The three priorities.
    enum Priority: String, ExpressibleByArgument, CaseIterable {
        case high
        case normal
        case low

        /// As the database has it.
        var number: Int { self == .high ? 0 : self == .normal ? 1 : 2 }
    }

    func run() async throws {
        // In SQL an empty text is a text like any other. Here it is a variable of a shell that is not set: all such events
        // would be one another's predecessors.
        for (option, text) in [
            ("organization", organization), ("user", user), ("record-id", recordID), ("ordering-key", orderingKey),
        ] where text == "" {
            throw CommandFailure.failed("--\(option) must not be empty; leave it out for none")
        }
        let payload = try Payload.read(data)
        try await Session.with { session in
            let records = try await session.run(
                .eventEmit,
                [
                    "type": type, "organization_id": organization, "user_id": user, "record_id": recordID,
                    "ordering_key": orderingKey, "priority": priority.number,
                ], data: payload)
            for record in records { print(output.json ? record.text : record["id"]) }
        }
    }
}
