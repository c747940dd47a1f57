// `postrider denied-columns`.

internal import ArgumentParser
internal import Outbox
internal import OutboxStore

/// Columns that attachments never send.
struct DeniedColumns: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Columns that attachments never send.",
        discussion: """
            Attachments are rebuilt, which blocks writers of their tables for a moment, by a login that may act for the \
            tables' owners.

              postrider denied-columns add password_hash                      # of every table
              postrider denied-columns add profile.ssn --table public.users   # a member of a JSON column
            """, subcommands: [List.self, Add.self, Remove.self], defaultSubcommand: List.self)

    /// What is denied, and where.
    struct Options: ParsableArguments {
        @Argument(help: "The column; with dots a member of a JSON or composite column.") var column: String
        @Option(help: "The table, with its schema; default every table.") var table: String?

        var document: Document {
            let names = column.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
            return ["table": table, "column": names.first, "path": Array(names.dropFirst())]
        }

        func validate() throws {
            if column.split(separator: ".", omittingEmptySubsequences: false).contains("") {
                throw ValidationError("not a column: '\(column)'")
            }
        }
    }

    /// `postrider denied-columns list`.
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List denied columns.")
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.list(
                .deniedColumnList,
                showing: [
                    ("table", "table_name"), ("column", "column"), ("by", "created_by"), ("since", "created_at"),
                ],
                output)
        }
    }

    /// `postrider denied-columns add`.
    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Deny a column: postrider.deny_column.")
        @OptionGroup var options: Options
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await DeniedColumns.change(.deniedColumnAdd, options, output)
        }
    }

    /// `postrider denied-columns remove`.
    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Allow a column again: postrider.allow_column.")
        @OptionGroup var options: Options
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await DeniedColumns.change(.deniedColumnRemove, options, output)
        }
    }

    private static func rebuilt(_ record: Record) -> String {
        Plural.text(Int(record.number("rebuilt") ?? 0), "attachment") + " rebuilt"
    }

    private static func change(_ request: AdminRequest, _ options: Options, _ output: OutputOptions) async throws {
        try await Session.with { session in
            for record in try await session.run(request, options.document) {
                print(output.json ? record.text : Self.rebuilt(record))
            }
        }
    }
}
