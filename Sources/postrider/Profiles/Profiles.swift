// `postrider profiles`: wire formats, the built-in ones and those that operators added.

internal import ArgumentParser
internal import Outbox
internal import OutboxStore

/// Wire formats.
struct Profiles: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List, add, change and try out wire formats.",
        discussion: """
            docs/profiles.md tells how to write one.

              postrider profiles show stripe >own.json          begin with one that is built in
              postrider profiles test ./own.json                the exact request, and whether it can be verified
              postrider profiles add own --file own.json        workers use it from the next delivery on
              postrider endpoints update billing --profile own
            """,
        subcommands: [List.self, Show.self, Add.self, Update.self, Remove.self, Test.self],
        defaultSubcommand: List.self)

    /// `postrider profiles list`.
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List all profiles with how many destinations use them.")
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.with { session in
                let catalog = try await ProfileStore.load(on: session.raw)
                var users: [String: Int] = [:]
                for record in try await session.run(.profileList) {
                    users[record["name"]] = Int(record.number("destinations") ?? 0)
                }
                let lines = catalog.names.map { ProfileLine(name: $0, catalog: catalog, users: users[$0] ?? 0) }
                if output.json { return lines.forEach { print($0.json) } }
                var table = Table(headings: ["name", "from", "signs", "destinations", "purpose"])
                table.rows = lines.map(\.cells)
                for line in table.lines() { print(line) }
            }
        }
    }

    /// `postrider profiles show`.
    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print a profile as the JSON that add and update take, with --json in one line.")
        @Argument(help: "Name, or path of a file.") var profile: String
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let text = try await ProfileLookup.profile(profile).json
            guard output.json else { return print(text) }
            print(try JSONValue(parsing: Array(text.utf8)).line)
        }
    }

    /// `postrider profiles remove`.
    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Remove a profile that no destination uses.")
        @Argument(help: "Name.") var profile: String
        @OptionGroup var output: OutputOptions

        func run() async throws {
            if Profile.builtIn[profile] != nil { throw CommandFailure.failed("\(profile) is built in") }
            try await Session.with { session in
                let known = try await session.run(.profileList).first { $0["name"] == profile }
                let users = Int(known?.number("destinations") ?? 0)
                guard users == 0 else {
                    throw CommandFailure.failed(
                        "profile \(profile) is used by \(Plural.text(users, "destination")): give another one first")
                }
                guard let record = try await session.run(.profileDelete, ["name": profile]).first else {
                    throw CommandFailure.notFound("there is no profile \(profile.debugDescription)")
                }
                print(output.json ? record.text : record["name"])
            }
        }
    }
}

/// One profile in a list.
private struct ProfileLine {
    let name: String
    let users: Int
    private let profile: Profile?
    private let fault: String?

    init(name: String, catalog: ProfileCatalog, users: Int) {
        self.name = name
        self.users = users
        do {
            profile = try catalog.profile(name)
            fault = nil
        } catch {
            profile = nil
            fault = error.description
        }
    }

    private var origin: String { Profile.builtIn[name] == nil ? "row" : "built in" }

    var cells: [String] {
        let signs = profile?.signature?.signs ?? (fault == nil ? "nothing" : "")
        return [name, origin, signs, "\(users)", fault ?? profile?.purpose ?? ""]
    }

    var json: String {
        Record([
            "name": name, "from": origin, "destinations": users, "signs": profile?.signature?.signs,
            "purpose": profile?.purpose, "fault": fault,
        ]).text
    }
}
