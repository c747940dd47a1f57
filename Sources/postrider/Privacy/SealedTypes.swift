// `postrider sealed-types`.

internal import ArgumentParser
internal import OutboxStore

/// Event types whose payloads are sealed at rest.
struct SealedTypes: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Event types whose payloads are sealed at rest.",
        discussion: """
            Workers with keys (POSTRIDER_SECRET_KEYS) seal payloads a minute after they were written, and open them again to \
            send them. An event of a transaction that was open for longer may be passed by and stays readable: add its type \
            again. A key is needed as long as payloads that it sealed are kept.
            """, subcommands: [List.self, Add.self, Remove.self, Keys.self], defaultSubcommand: List.self)

    /// `postrider sealed-types list`.
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List sealed types.")
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.list(
                .sealedTypeList,
                showing: [
                    ("type", "pattern"), ("sealed to", "sealed_to"), ("by", "created_by"), ("since", "created_at"),
                ], output)
        }
    }

    /// `postrider sealed-types add`.
    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Seal payloads of a type, those of the past too; again: look at all of them again.")
        @Argument(help: "A type, or a pattern such as patient.*.") var pattern: String
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.with { session in
                for record in try await session.run(.sealedTypeAdd, ["pattern": pattern]) {
                    print(output.json ? record.text : record["pattern"])
                }
                if session.keys == nil {
                    Session.remark("there are no keys here: workers without POSTRIDER_SECRET_KEYS seal nothing")
                }
            }
        }
    }

    /// `postrider sealed-types remove`.
    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Seal no more payloads of a type; what is sealed stays so, and is opened to be sent.")
        @Argument(help: "The type or pattern, as it is listed.") var pattern: String
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.with { session in
                for record in try await session.run(.sealedTypeRemove, ["pattern": pattern]) {
                    print(output.json ? record.text : record["pattern"])
                }
            }
        }
    }

    /// `postrider sealed-types keys`.
    struct Keys: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the keys that payloads are sealed with.")
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.list(
                .payloadKeyList,
                showing: [("key", "key"), ("payloads", "payloads"), ("from", "first_at"), ("to", "last_at")], output)
        }
    }
}
