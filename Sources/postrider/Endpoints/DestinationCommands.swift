// The subcommands that `postrider endpoints` and `postrider n8n` have in common.

internal import ArgumentParser
internal import Outbox
internal import OutboxStore

/// A group of commands for one kind of destination.
protocol DestinationGroup {
    static var kind: DestinationKind { get }
}

/// The argument that says which destination is meant.
struct ChosenDestination<Group: DestinationGroup>: ParsableArguments {
    @Argument(help: ArgumentHelp("Id or name.", valueName: Group.kind.help.one)) var name: String
}

/// `list`.
struct ListDestinations<Group: DestinationGroup>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(commandName: "list", abstract: "List \(Group.kind.help.all).")
    }
    @OptionGroup var output: OutputOptions

    func run() async throws {
        try await Session.with { session in
            let found = try await session.run(Group.kind.list)
            Group.kind.show(found, json: output.json)
            SecretExpiry.remark(found, within: session.secretWarning)
        }
    }
}

/// `show`.
struct ShowDestination<Group: DestinationGroup>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "show", abstract: "Show one \(Group.kind.help.one) as JSON, with --json or without.")
    }
    @OptionGroup var chosen: ChosenDestination<Group>
    @OptionGroup var output: OutputOptions

    func run() async throws {
        try await Session.with { session in print(try await Group.kind.find(chosen.name, session).text) }
    }
}

/// `disable`.
struct DisableDestination<Group: DestinationGroup>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(commandName: "disable", abstract: "Send nothing more; deliveries wait.")
    }
    @OptionGroup var chosen: ChosenDestination<Group>
    @OptionGroup var output: OutputOptions

    func run() async throws { try await Group.kind.setActive(chosen.name, false, json: output.json) }
}

/// `enable`.
struct EnableDestination<Group: DestinationGroup>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "enable", abstract: "Send again: what waited, oldest first, beside new events.")
    }
    @OptionGroup var chosen: ChosenDestination<Group>
    @OptionGroup var output: OutputOptions

    func run() async throws { try await Group.kind.setActive(chosen.name, true, json: output.json) }
}

/// `delete`.
struct DeleteDestination<Group: DestinationGroup>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "delete", abstract: "Delete \(Group.kind.help.anyOne); what waits for it is given up.",
            discussion: """
                Tells how many deliveries were given up that waited for another attempt or for their turn, and how many dead \
                letters cannot be sent again any more. What a worker holds at that moment may still be sent.
                """)
    }
    @OptionGroup var chosen: ChosenDestination<Group>
    @Flag(help: "Count what would be given up, and delete nothing.") var dryRun = false
    @OptionGroup var output: OutputOptions

    func run() async throws {
        try await Session.with { session in
            let id = try await Group.kind.find(chosen.name, session)["id"]
            for record in try await session.run(dryRun ? .deletionPlan : Group.kind.delete, ["id": id]) {
                print(output.json ? record.text : record["id"])
                tellLoss(record)
            }
        }
    }

    private func tellLoss(_ record: Record) {
        let waiting = Int(record.number("given_up") ?? 0)
        let dead = Int(record.number("dead_letters") ?? 0)
        if waiting > 0 {
            let text = Plural.text(waiting, "delivery that waits", "deliveries that wait")
            Session.remark("\(text) \(dryRun ? "would be" : waiting == 1 ? "is" : "are") given up")
        }
        if dead > 0 {
            let letters = Plural.text(dead, "dead letter")
            Session.remark("\(letters) \(dryRun ? "could not" : "cannot") be sent again any more")
        }
    }
}

/// `test`.
struct TestDestination<Group: DestinationGroup>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(commandName: "test", abstract: Group.kind.help.test)
    }
    @OptionGroup var chosen: ChosenDestination<Group>
    @OptionGroup var output: OutputOptions

    func run() async throws { try await Group.kind.test(chosen.name, json: output.json) }
}

/// `rotate-secret`.
struct RotateSecret<Group: DestinationGroup>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(commandName: "rotate-secret", abstract: Group.kind.help.rotateSecret)
    }
    @OptionGroup var chosen: ChosenDestination<Group>
    @Option(help: "How long the old secret signs too, where the profile has room: 24h, 2d.")
    var overlap = TimeArgument.day
    @OptionGroup var secretOptions: SecretOptions
    @OptionGroup var newSecretOptions: NewSecretOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        try await Group.kind.rotate(
            chosen.name, overlap: overlap, secretOptions, newSecretOptions, json: output.json)
    }
}
