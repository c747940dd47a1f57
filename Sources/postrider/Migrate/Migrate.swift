// `postrider migrate`.

internal import ArgumentParser
internal import Outbox
internal import OutboxStore
internal import Postgres

/// Brings the schema up or down, or tells where it is.
struct Migrate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Bring the database's schema up or down.",
        discussion: """
            Any number may run at once: one does the work, the others wait. Producers are never held up for more than a \
            second. The same SQL lies under sql/migrations and can be applied with psql.
            """,
        subcommands: [Up.self, Down.self, Status.self], defaultSubcommand: Up.self)

    /// `postrider migrate up`.
    struct Up: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Apply what is missing (the default).")
        @Option(help: "Stop at this version.") var to: Int?
        @Flag(help: "Print the SQL that would run, and run nothing.") var dryRun = false
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.with { session in
                let migrator = Migrator(connection: session.raw)
                if dryRun {
                    let pending = try await migrator.pending(upTo: to)
                    if pending.isEmpty { Session.remark("nothing to apply") }
                    for migration in pending { print(Step.apply.plan(of: migration, migration.up, output)) }
                    return
                }
                try await migrator.up(to: to) { print(Step.apply.line(of: $0, output)) }
                if !output.json { print("the schema is at version \(try await migrator.version())") }
                if let setup = try await migrator.roleSetup() {
                    Session.remark("roles are missing; a DBA has to make them, until then work as the owner:\n\(setup)")
                }
            }
        }
    }

    /// `postrider migrate down`.
    struct Down: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Undo migrations, the newest first. --to 0 removes everything.")
        @Option(help: "The version to go back to.") var to: Int
        @Flag(help: "Print the SQL that would run, and run nothing.") var dryRun = false
        @Flag(help: "Do not ask.") var yes = false
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.with { session in
                let migrator = Migrator(connection: session.raw)
                let current = try await migrator.version()
                let undone = Migration.all.reversed().filter { $0.version > to && $0.version <= current }
                if dryRun {
                    for migration in undone { print(Step.undo.plan(of: migration, migration.down, output)) }
                    return
                }
                if undone.contains(where: { $0.version == 1 }) { try await tellLoss(session) }
                for migration in undone { Session.remark(Self.heading(of: migration)) }
                let what = Plural.text(undone.count, "migration")
                guard undone.isEmpty || yes || Session.confirms("Undo \(what)?") else {
                    throw CommandFailure.failed("not undone: add --yes")
                }
                try await migrator.down(to: to) { print(Step.undo.line(of: $0, output)) }
                if !output.json { print("the schema is at version \(try await migrator.version())") }
            }
        }

        /// What the first comment of the SQL that undoes a migration says: what is lost, and what to do before.
        static func heading(of migration: Migration) -> String {
            migration.down.split(separator: "\n", omittingEmptySubsequences: false).prefix { $0.hasPrefix("-- ") }
                .map { $0.dropFirst(3) }.joined(separator: " ")
        }

        /// Says what goes with the schema before it goes.
        private func tellLoss(_ session: Session) async throws {
            let rows = try await session.raw.script(
                """
                SELECT (SELECT count(*) FROM postrider.webhook_event_log),
                       (SELECT count(*) FROM postrider.webhook_destinations WHERE deleted_at IS NULL)
                """, name: "MigrateLoss")
            guard let row = rows.last?.first else { return }
            func count(_ column: Int, _ noun: String) -> String {
                Plural.text(row.text(column).flatMap { Int($0) } ?? 0, noun)
            }
            Session.remark("this removes \(count(0, "event")) and \(count(1, "destination")) for good")
        }
    }

    /// `postrider migrate status`.
    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Tell which migrations were applied, and when.")
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.with { session in
                let applied = try await Migrator(connection: session.raw).applied()
                var records = Migration.all.map { migration in
                    let done = applied.first { $0.version == migration.version }
                    return Record([
                        "version": migration.version, "name": migration.name, "applied_at": done?.appliedAt,
                    ])
                }
                // Of a newer program: it knows what they are.
                for one in applied where !Migration.all.contains(where: { $0.version == one.version }) {
                    records.append(Record(["version": one.version, "name": one.name, "applied_at": one.appliedAt]))
                }
                Session.show(
                    records, [("version", "version"), ("name", "name"), ("applied at", "applied_at")],
                    json: output.json)
            }
        }
    }

    /// What becomes of a migration, as it is told.
    private enum Step: String {
        case apply
        case undo

        /// One migration that was applied or undone.
        func line(of migration: Migration, _ output: OutputOptions) -> String {
            guard output.json else {
                return "\(self == .apply ? "applied" : "undone") \(migration.version) \(migration.name)"
            }
            return Record(document(of: migration)).text
        }

        /// The SQL that would run.
        func plan(of migration: Migration, _ sql: String, _ output: OutputOptions) -> String {
            guard output.json else { return "-- \(migration.version) \(migration.name)\n\(sql)" }
            return Record(document(of: migration).merging(["sql": sql]) { $1 }).text
        }

        private func document(of migration: Migration) -> Document {
            ["action": rawValue, "version": migration.version, "name": migration.name]
        }
    }
}
