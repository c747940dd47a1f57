// `postrider audit-log`.

internal import ArgumentParser
internal import OutboxStore

/// Administrative changes and who made them.
struct AuditLog: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Administrative changes: who changed what, before and after.", subcommands: [List.self],
        defaultSubcommand: List.self)

    /// `postrider audit-log list`.
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List changes, newest first.",
            discussion: """
                  postrider audit-log list --object billing --since 30d
                  postrider audit-log list --object u-3 --since 365d    # was this person forgotten?
                """)
        @Option(
            help: """
                An id or a name of an endpoint, a table, a kind such as secret, or the id of a person who was forgotten.
                """)
        var object: String?
        @OptionGroup var list: ListOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.with { session in
                let records = try await session.run(
                    .auditLogList, ["since_s": list.since.seconds, "object": object, "limit": list.limit])
                if output.json { return records.forEach { print($0.text) } }
                var table = Table(headings: ["at", "who", "action", "what", "name", "changed"])
                table.rows = records.map { record in
                    let who = record["actor"].isEmpty ? record["role_name"] : "\(record["actor"]) (\(record["login"]))"
                    return [
                        record["at"], who, record["action"], record["object_kind"],
                        record["object_name"].isEmpty ? String(record["object_id"].prefix(16)) : record["object_name"],
                        Self.changed(record),
                    ]
                }
                for line in table.lines() { print(line) }
            }
        }

        /// The names of what was changed; the values are in the JSON.
        private static func changed(_ record: Record) -> String {
            record["action"] == "create" || record["before"].isEmpty || record["after"].isEmpty
                ? "" : record.record("after").names.joined(separator: ",")
        }
    }
}
