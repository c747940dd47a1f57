// The root of the command line. Every subcommand has a file of its own in a folder of its topic.

internal import ArgumentParser
internal import CProcess

/// `postrider`.
@main
struct Postrider: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "postrider",
        abstract: "A transactional outbox for webhooks that needs nothing but Postgres.",
        discussion: """
            DATABASE_URL (or libpq's PG* variables) says where Postgres is; docs/configuration.md lists every variable.

            Exit status: 0 done; 1 failed; 3 not found; 4 no connection to Postgres; 5 the schema is missing, too old or \
            too new; 64 wrong words on the command line.
            """,
        version: Version.text,
        subcommands: [
            Migrate.self, WorkerCommand.self, DemoCommand.self, Doctor.self, Emit.self, Attach.self, Detach.self,
            Attachments.self, Endpoints.self, N8n.self, Keys.self, Events.self, Deliveries.self, DeadLetters.self,
            Replay.self, Order.self, NamedSettings.self,
            Stats.self, Retention.self, Maintain.self, ListenCommand.self, Profiles.self, Filters.self,
            Transforms.self,
            ForgetUser.self, DeniedColumns.self, SealedTypes.self, AuditLog.self,
        ])

    /// Parses and runs; every error becomes one line and an exit status.
    static func main() async {
        do {
            var command = try parseAsRoot()
            // All hold the password of the database, many a secret too. A worker without keys can be looked into: it runs for
            // long, and decides by itself.
            if !(command is WorkerCommand) { try ProcessSecrecy.begin() }
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
            // Output is written at the end, and print tells of no error: a secret that is shown once would be lost in silence.
            if !postrider_finish_output() {
                throw CommandFailure.failed("done, but the answer could not be written: standard output takes nothing")
            }
        } catch {
            CommandFailure.end(with: error)
        }
    }
}

/// The program's version.
enum Version {
    /// As `postrider --version` prints it and as workers register.
    static let text = "0.1.0"
}
