// The root of the command line. Every subcommand has a file of its own in a folder of its topic.

internal import ArgumentParser

/// `postrider`.
@main
struct Postrider: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "postrider",
        abstract: "A transactional outbox for webhooks that needs nothing but Postgres.",
        version: Version.text,
        subcommands: [Migrate.self, WorkerCommand.self, ListenCommand.self, DemoCommand.self])
}

/// The program's version.
enum Version {
    /// As `postrider --version` prints it and as workers register.
    static let text = "0.1.0"
}
