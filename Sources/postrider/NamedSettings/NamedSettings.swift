// `postrider settings`.

internal import ArgumentParser
internal import Outbox
internal import OutboxStore

/// Values that headers and options of destinations name as `${NAME}`.
struct NamedSettings: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "settings",
        abstract: "Set, list and remove the values that destinations name as ${NAME}.",
        discussion: """
            Headers and the options auth, tls and proxy of destinations name settings: --header 'X-Token=${PARTNER_TOKEN}'. \
            A destination with an organization uses that organization's settings and shared ones; one with neither \
            organization nor user uses those without organization. Values are sealed like secrets and never shown.
            """,
        subcommands: [Set.self, List.self, Remove.self], defaultSubcommand: List.self)

    /// `postrider settings set`.
    struct Set: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give a setting a value; workers use it within a second or so.",
            discussion: """
                The value is the whole file, or all of standard input, without the line ends at its end.

                  postrider settings set PARTNER_TOKEN --secret-env TOKEN
                  postrider settings set CLIENT_KEY --organization acme --secret-file client.key
                """)
        @Argument(help: "Letters, digits and underscores, the first no digit; what stands in ${NAME}.") var name: String
        @Option(help: "Whose it is; without it, the operator's own.") var organization: String?
        @Flag(help: "Let destinations of every organization use it.") var shared = false
        @Flag(help: "Let them no longer use it.") var noShared = false
        @OptionGroup var secretOptions: SecretOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            if shared, noShared { throw ValidationError("--shared and --no-shared exclude each other") }
            if shared, organization != nil { throw ValidationError("an organization's setting is not shared") }
        }

        func run() async throws {
            guard ReferenceText.isName(name) else {
                throw CommandFailure.failed(
                    "\(name.debugDescription) is no name: 1 to 128 letters, digits and _, the first no digit")
            }
            guard organization != "" else { throw CommandFailure.failed("--organization is empty") }
            guard let value = try secretOptions.wholeText() else {
                throw CommandFailure.failed("give the value with --secret-file, --secret-env or --secret-stdin")
            }
            guard (1...65_536).contains(value.utf8.count), !value.utf8.contains(0), !SealedSecret.isSealed(value) else {
                throw CommandFailure.failed("a value has 1 to 65536 bytes, no NUL, and does not begin with 'sealed:'")
            }
            try await Session.with { session in
                var stored = value
                if let keys = session.keys {
                    stored = try await SecretStore.seal(
                        setting: name, organization: organization, value: value, with: keys, on: session.raw)
                }
                let isShared: Bool? = shared ? true : noShared ? false : nil
                let records = try await session.run(
                    .settingSet,
                    ["name": name, "organization_id": organization, "is_shared": isShared, "value": stored])
                for record in records { print(output.json ? record.text : record["name"]) }
            }
        }
    }

    /// `postrider settings list`.
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List settings, without their values.")
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.list(
                .settingList,
                showing: [
                    ("name", "name"), ("organization", "organization_id"), ("shared", "is_shared"),
                    ("updated", "updated_at"),
                ], output)
        }
    }

    /// `postrider settings remove`.
    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove a setting; deliveries to destinations that name it wait until it is there again.")
        @Argument(help: "Its name.") var name: String
        @Option(help: "Whose it is; without it, the operator's own.") var organization: String?
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.with { session in
                let removed = try await session.run(
                    .settingRemove, ["name": name, "organization_id": organization])
                guard let record = removed.first else {
                    throw CommandFailure.notFound("there is no setting \(name.debugDescription)")
                }
                print(output.json ? record.text : record["name"])
            }
        }
    }
}
