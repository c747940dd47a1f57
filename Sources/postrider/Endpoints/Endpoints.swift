// `postrider endpoints`.

internal import ArgumentParser
internal import Outbox

/// Webhook endpoints.
struct Endpoints: AsyncParsableCommand, DestinationGroup {
    static let configuration = CommandConfiguration(
        abstract: "Create, list and change webhook endpoints.",
        subcommands: [
            Create.self, ListDestinations<Self>.self, ShowDestination<Self>.self, Update.self,
            DisableDestination<Self>.self, EnableDestination<Self>.self, DeleteDestination<Self>.self,
            TestDestination<Self>.self, RotateSecret<Self>.self, PublicKey.self, Match.self,
        ], defaultSubcommand: ListDestinations<Self>.self)
    static let kind = DestinationKind.endpoint

    /// `postrider endpoints create`.
    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Create an endpoint and print its id.",
            discussion: """
                Without a secret one is generated and shown once.

                  postrider endpoints create --name billing --url https://billing.example.com/hooks --events 'invoice.*'
                """)
        @OptionGroup var new: NewDestination<Endpoints>
        @Option(help: "Wire format.") var profile = "standard"
        @OptionGroup var creation: CreationOptions<Endpoints>

        func run() async throws {
            var columns = try creation.options.columns()
            try new.add(to: &columns)
            try await creation.create(columns, profile: profile)
        }
    }

    /// `postrider endpoints update`.
    struct Update: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Change settings of an endpoint; the rest stays.")
        @OptionGroup var changed: ChangedDestination<Endpoints>
        @Option(help: "New wire format.") var profile: String?
        @OptionGroup var options: DestinationOptions

        func validate() throws {
            if profile == nil { try changed.check(beside: options) }
        }

        func run() async throws {
            var columns = try options.columns()
            try changed.add(to: &columns)
            if let profile { columns["profile"] = profile }
            try await changed.update(columns) { found, session in
                guard let profile else { return }
                try await DestinationKind.remarkForm(of: found, session.profile(profile), session)
            }
        }
    }

    /// `postrider endpoints public-key`.
    struct PublicKey: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "public-key", abstract: "Print the public keys (whpk_…) of Ed25519 secrets, newest first.")
        @OptionGroup var chosen: ChosenDestination<Endpoints>
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let settings = try await Settings.loadForCommand()
            let destination = try await DestinationKind.endpoint.load(chosen.name, settings).destination
            let keys = destination.secrets.compactMap(\.publicKeyText)
            guard !keys.isEmpty else { throw CommandFailure.notFound("the endpoint has no Ed25519 secret") }
            for key in keys {
                print(
                    output.json
                        ? Record(["id": destination.uuid, "name": destination.name, "public_key": key]).text : key)
            }
        }
    }
}
