// `postrider attach`, `detach` and `attachments`.

internal import ArgumentParser
internal import OutboxStore

/// Makes changes of a table events.
struct Attach: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make changes of a table events: postrider.attach.",
        discussion: """
              postrider attach public.users --event-type user.registered --operations insert --except password_hash
              postrider attach public.deals --event-type-expression "'deal.' || NEW.status" --operations update \\
                --condition 'NEW.status IS DISTINCT FROM OLD.status'
            """)
    @Argument(help: "The table, with its schema.") var table: String
    @Option(help: "The type of its events, or else --event-type-expression.") var eventType: String?
    @Option(help: "SQL over NEW and OLD that gives the type.") var eventTypeExpression: String?
    @Option(help: ArgumentHelp("Which changes: insert, update, delete, truncate.", valueName: "list"))
    var operations = "insert"
    @Option(help: "SQL over NEW and OLD; false or null makes no event.") var condition: String?
    @Option(help: ArgumentHelp("Columns to send (all).", valueName: "list")) var columns: String?
    @Option(help: ArgumentHelp("Columns to leave out.", valueName: "list")) var except: String?
    @Option(help: "Column or SQL that gives the organization.") var organization: String?
    @Option(help: "Column or SQL that gives the user.") var user: String?
    @Option(help: "Column or SQL that gives the record's id; default the primary key.") var recordID: String?
    @Option(help: "Column or SQL that gives the ordering key.") var orderingKey: String?
    @Option(help: "high, normal or low (normal), or column or SQL that gives 0, 1 or 2 for them.") var priority: String?
    @Flag(help: "Send the old row too.") var includeOld = false
    @Option(
        help: """
            Name of the attachment; the same name replaces it. Default the type, with --event-type-expression the operations.
            """) var name: String?
    @OptionGroup var output: OutputOptions

    func run() async throws {
        func list(_ text: String?) -> [String]? { text.map(CommaList.entries) }
        try await Session.with { session in
            let records = try await session.run(
                .attachmentCreate,
                [
                    "table": table, "event_type": eventType, "event_type_expression": eventTypeExpression,
                    "operations": list(operations), "condition": condition, "columns": list(columns),
                    "except_columns": list(except), "organization_id": organization, "user_id": user,
                    "record_id": recordID, "ordering_key": orderingKey, "priority": priority,
                    "include_old": includeOld, "name": name,
                ])
            for record in records { print(output.json ? record.text : record["name"]) }
        }
    }
}

/// Ends attachments.
struct Detach: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "End attachments of a table: postrider.detach.")
    @Argument(help: "The table, with its schema.") var table: String
    @Option(help: "One of them; default all.") var name: String?
    @OptionGroup var output: OutputOptions

    func run() async throws {
        try await Session.with { session in
            for record in try await session.run(.attachmentDelete, ["table": table, "name": name]) {
                print(output.json ? record.text : "\(record["count"]) detached")
            }
        }
    }
}

/// Attachments.
struct Attachments: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tables whose changes are events.", subcommands: [List.self], defaultSubcommand: List.self)

    /// `postrider attachments list`.
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List attachments.")
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.list(
                .attachmentList,
                showing: [
                    ("table", "table_name"), ("name", "name"), ("operations", "operations"),
                    ("type", "event_type"), ("expression", "event_type_expression"), ("condition", "condition"),
                ], output)
        }
    }
}
