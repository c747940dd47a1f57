// `postrider n8n`.

internal import ArgumentParser
internal import OutboxStore

/// n8n workflows as destinations.
struct N8n: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "n8n", abstract: "Create, list and change n8n workflows as destinations.",
        subcommands: [
            Create.self, List.self, Show.self, Update.self, Disable.self, Enable.self, Delete.self, Test.self,
            RotateSecret.self,
            N8nProbe.self, N8nImport.self,
        ])

    /// `postrider n8n create`.
    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Create a workflow and print its id.",
            discussion: """
                The URL is the production URL of the workflow's webhook node: …/webhook/<path>.

                  postrider n8n create --name agent-created --url https://n8n.example.com/webhook/agent-created \\
                    --events agent.created
                """)
        @Option(help: "Name for people.") var name: String
        @Option(help: "Production URL of the webhook node.") var url: String
        @Option(help: ArgumentHelp("Types: a.b, a.*, *.", valueName: "list")) var events: String
        @Option(help: "n8n's own id of the workflow.") var workflowID: String?
        @Option(help: "Wire format.") var profile = "n8n"
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
            columns["workflow_id"] = workflowID
            N8nURL.warn(url)
            let document = columns
            try await Session.with { session in
                let known = try await session.profile(profile)
                let secret = try newSecretOptions.secret(given: secretOptions.secret(for: known), for: known)
                let record = try await SecretWriter(session).create(.workflowCreate, document, secret, known)
                DestinationKind.tellCreated(record, hadSecret: secret.given != nil, json: output.json)
            }
        }
    }

    /// `postrider n8n list`.
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List workflows.")
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.with { session in
                let found = try await session.run(.workflowList)
                DestinationKind.workflow.show(found, json: output.json)
                SecretExpiry.remark(found, within: session.secretWarning)
            }
        }
    }

    /// `postrider n8n show`.
    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show one workflow as JSON.")
        @Argument(help: "Id or name.") var workflow: String

        func run() async throws {
            try await Session.with { session in
                print(try await DestinationKind.workflow.find(workflow, session).text)
            }
        }
    }

    /// `postrider n8n update`.
    struct Update: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Change settings of a workflow; the rest stays.")
        @Argument(help: "Id or name.") var workflow: String
        @Option(help: "New name.") var name: String?
        @Option(help: "New URL.") var url: String?
        @Option(help: ArgumentHelp("New types.", valueName: "list")) var events: String?
        @OptionGroup var options: DestinationOptions

        func run() async throws {
            var columns = try options.columns()
            if let name { columns["name"] = try DestinationKind.name(name) }
            if let url {
                columns["url"] = try DestinationKind.url(url)
                N8nURL.warn(url)
            }
            if let events { columns["events"] = try DestinationKind.patterns(events) }
            let changes = columns
            try await Session.with { session in
                let found = try await DestinationKind.workflow.find(workflow, session)
                for record in try await SecretWriter(session).update(.workflowUpdate, changes, of: found) {
                    print(record["id"])
                }
            }
        }
    }

    /// `postrider n8n disable`.
    struct Disable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Send nothing more; deliveries wait.")
        @Argument(help: "Id or name.") var workflow: String

        func run() async throws { try await DestinationKind.workflow.setActive(workflow, false) }
    }

    /// `postrider n8n enable`.
    struct Enable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Send again, what waited first.")
        @Argument(help: "Id or name.") var workflow: String

        func run() async throws { try await DestinationKind.workflow.setActive(workflow, true) }
    }

    /// `postrider n8n delete`.
    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Delete a workflow; what waits for it is given up.")
        @Argument(help: "Id or name.") var workflow: String

        func run() async throws {
            try await Session.with { session in
                let id = try await DestinationKind.workflow.find(workflow, session)["id"]
                for record in try await session.run(.workflowDelete, ["id": id]) { print(record["id"]) }
            }
        }
    }

    /// `postrider n8n test`.
    struct Test: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Send one test request from here, under the rules of workers. It starts the workflow.")
        @Argument(help: "Id or name.") var workflow: String

        func run() async throws { try await DestinationKind.workflow.test(workflow) }
    }

    /// `postrider n8n rotate-secret`.
    struct RotateSecret: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give a workflow a new secret, or its first one.")
        @Argument(help: "Id or name.") var workflow: String
        @Option(help: "How long the old secret signs too.") var overlap = TimeArgument.day
        @OptionGroup var secretOptions: SecretOptions
        @OptionGroup var newSecretOptions: NewSecretOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await DestinationKind.workflow.rotate(
                workflow, overlap: overlap, secretOptions, newSecretOptions, json: output.json)
        }
    }
}
