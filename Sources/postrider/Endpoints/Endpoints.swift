// `postrider endpoints`.

internal import ArgumentParser
internal import Outbox
internal import OutboxStore

/// Webhook endpoints.
struct Endpoints: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Create, list and change webhook endpoints.",
        subcommands: [
            Create.self, List.self, Show.self, Update.self, Disable.self, Enable.self, Delete.self, Test.self,
            RotateSecret.self, PublicKey.self, Match.self,
        ])

    /// `postrider endpoints create`.
    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Create an endpoint and print its id.",
            discussion: """
                Without a secret one is generated and shown once.

                  postrider endpoints create --name billing --url https://billing.example.com/hooks --events 'invoice.*'
                """)
        @Option(help: "Name for people.") var name: String
        @Option(help: "Where to send.") var url: String
        @Option(help: ArgumentHelp("Types: a.b, a.*, *.", valueName: "list")) var events: String
        @Option(help: "Wire format.") var profile = "standard"
        @OptionGroup var secretOptions: SecretOptions
        @OptionGroup var newSecretOptions: NewSecretOptions
        @OptionGroup var options: DestinationOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            var columns = try options.columns()
            columns["name"] = try DestinationKind.name(name)
            columns["url"] = try DestinationKind.url(url)
            columns["events"] = try DestinationKind.patterns(events)
            columns["profile"] = profile
            let document = columns
            try await Session.with { session in
                let known = try await session.profile(profile)
                let secret = try newSecretOptions.secret(given: secretOptions.secret(for: known), for: known)
                let record = try await SecretWriter(session).create(.endpointCreate, document, secret, known)
                DestinationKind.tellCreated(record, hadSecret: secret.given != nil, json: output.json)
            }
        }
    }

    /// `postrider endpoints list`.
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List endpoints.")
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.with { session in
                let found = try await session.run(.endpointList)
                DestinationKind.endpoint.show(found, json: output.json)
                SecretExpiry.remark(found, within: session.secretWarning)
            }
        }
    }

    /// `postrider endpoints show`.
    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show one endpoint as JSON.")
        @Argument(help: "Id or name.") var endpoint: String

        func run() async throws {
            try await Session.with { session in
                print(try await DestinationKind.endpoint.find(endpoint, session).text)
            }
        }
    }

    /// `postrider endpoints update`.
    struct Update: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Change settings of an endpoint; the rest stays.")
        @Argument(help: "Id or name.") var endpoint: String
        @Option(help: "New name.") var name: String?
        @Option(help: "New URL.") var url: String?
        @Option(help: ArgumentHelp("New types.", valueName: "list")) var events: String?
        @Option(help: "New wire format.") var profile: String?
        @OptionGroup var options: DestinationOptions

        func run() async throws {
            var columns = try options.columns()
            if let name { columns["name"] = try DestinationKind.name(name) }
            if let url { columns["url"] = try DestinationKind.url(url) }
            if let events { columns["events"] = try DestinationKind.patterns(events) }
            if let profile { columns["profile"] = profile }
            let changes = columns
            try await Session.with { session in
                let found = try await DestinationKind.endpoint.find(endpoint, session)
                if let profile {
                    let new = try await session.profile(profile)
                    try await DestinationKind.remarkForm(of: found, new, session)
                }
                for record in try await SecretWriter(session).update(.endpointUpdate, changes, of: found) {
                    print(record["id"])
                }
            }
        }
    }

    /// `postrider endpoints disable`.
    struct Disable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Send nothing more; deliveries wait.")
        @Argument(help: "Id or name.") var endpoint: String

        func run() async throws { try await DestinationKind.endpoint.setActive(endpoint, false) }
    }

    /// `postrider endpoints enable`.
    struct Enable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Send again, what waited first.")
        @Argument(help: "Id or name.") var endpoint: String

        func run() async throws { try await DestinationKind.endpoint.setActive(endpoint, true) }
    }

    /// `postrider endpoints delete`.
    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Delete an endpoint; what waits for it is given up.")
        @Argument(help: "Id or name.") var endpoint: String

        func run() async throws {
            try await Session.with { session in
                let id = try await DestinationKind.endpoint.find(endpoint, session)["id"]
                for record in try await session.run(.endpointDelete, ["id": id]) { print(record["id"]) }
            }
        }
    }

    /// `postrider endpoints test`.
    struct Test: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Send one signed test request from here, under the rules of workers.")
        @Argument(help: "Id or name.") var endpoint: String

        func run() async throws { try await DestinationKind.endpoint.test(endpoint) }
    }

    /// `postrider endpoints rotate-secret`.
    struct RotateSecret: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Add a new secret; both sign until the overlap ends.")
        @Argument(help: "Id or name.") var endpoint: String
        @Option(help: "How long the old secret signs too.") var overlap = TimeArgument.day
        @OptionGroup var secretOptions: SecretOptions
        @OptionGroup var newSecretOptions: NewSecretOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await DestinationKind.endpoint.rotate(
                endpoint, overlap: overlap, secretOptions, newSecretOptions, json: output.json)
        }
    }

    /// `postrider endpoints public-key`.
    struct PublicKey: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "public-key", abstract: "Print the public keys (whpk_…) of Ed25519 secrets, newest first.")
        @Argument(help: "Id or name.") var endpoint: String

        func run() async throws {
            let destination = try await DestinationKind.endpoint.load(endpoint, Settings.load()).destination
            let keys = destination.secrets.compactMap(\.publicKeyText)
            guard !keys.isEmpty else { throw CommandFailure.notFound("the endpoint has no Ed25519 secret") }
            for key in keys { print(key) }
        }
    }
}
