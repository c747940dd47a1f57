// `postrider n8n`.

internal import ArgumentParser

/// n8n workflows as destinations.
struct N8n: AsyncParsableCommand, DestinationGroup {
    static let configuration = CommandConfiguration(
        commandName: "n8n", abstract: "Create, list and change n8n workflows as destinations.",
        subcommands: [
            Create.self, ListDestinations<Self>.self, ShowDestination<Self>.self, Update.self,
            DisableDestination<Self>.self, EnableDestination<Self>.self, DeleteDestination<Self>.self,
            TestDestination<Self>.self, RotateSecret<Self>.self, N8nProbe.self, N8nImport.self,
        ], defaultSubcommand: ListDestinations<Self>.self)
    static let kind = DestinationKind.workflow

    /// `postrider n8n create`.
    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Create a workflow and print its id.",
            discussion: """
                The URL is the production URL of the workflow's webhook node: …/webhook/<path>.

                  postrider n8n create --name agent-created --url https://n8n.example.com/webhook/agent-created \\
                    --events agent.created
                """)
        @OptionGroup var new: NewDestination<N8n>
        @Option(help: "n8n's own id of the workflow.") var workflowID: String?
        @Option(help: "Wire format.") var profile = "n8n"
        @OptionGroup var creation: CreationOptions<N8n>

        func run() async throws {
            var columns = try creation.options.columns()
            try new.add(to: &columns)
            columns["workflow_id"] = workflowID
            N8nURL.warn(new.url)
            try await creation.create(columns, profile: profile)
        }
    }

    /// `postrider n8n update`.
    struct Update: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Change settings of a workflow; the rest stays.")
        @OptionGroup var changed: ChangedDestination<N8n>
        @OptionGroup var options: DestinationOptions

        func validate() throws { try changed.check(beside: options) }

        func run() async throws {
            var columns = try options.columns()
            try changed.add(to: &columns)
            if let url = changed.url { N8nURL.warn(url) }
            try await changed.update(columns)
        }
    }
}
