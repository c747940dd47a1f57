// `postrider n8n import`.

internal import ArgumentParser
internal import Outbox
internal import OutboxStore

/// Makes destinations of the webhook nodes of exported workflows.
struct N8nImport: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Make destinations of the webhook nodes in an export of n8n; again to bring them up to date.",
        discussion: """
            The file is one workflow, or what n8n export:workflow --all writes. Taken are webhook nodes with method POST and \
            a constant path. A node that is known already, by the workflow's id and the path, is changed and not doubled. \
            Workflows that are not active in n8n are not sent to; what is meant for them waits.

              postrider n8n import workflows.json --base-url https://n8n.example.com --dry-run
              postrider n8n import workflows.json --base-url https://n8n.example.com --events orders=order.created,order.paid
            """)

    /// Where event types come from when --events and --map do not name a path.
    enum Source: String, ExpressibleByArgument, CaseIterable {
        /// A table of seven paths that the example agentes uses; only for new destinations.
        case map
        /// Tags of the workflow that are event types or patterns with a dot in them.
        case tag
        /// The path itself, slashes read as dots.
        case path
    }

    @Argument(help: "The export.") var file: String
    @Option(help: ArgumentHelp("Where n8n is, without /webhook.", valueName: "url")) var baseURL: String
    @Option(help: ArgumentHelp("Types of one path; can be repeated.", valueName: "path=list")) var events: [String] = []
    @Option(help: ArgumentHelp("JSON object of paths and lists of types.", valueName: "file")) var map: String?
    @Option(
        help: """
            Where other types come from: map, the paths that the example agentes knows; tag, tags that are types with a dot in \
            them; path, its slashes read as dots.
            """)
    var eventsFrom = Source.map
    @Option(help: "Only events of this organization, also for what is known already; without it that stays as it is.")
    var organization: String?
    @Flag(help: "Tell what would be done, and do nothing.") var dryRun = false
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let export = try N8nExport(FileContents.given(file))
        let types = try types()
        var base = baseURL
        while base.hasSuffix("/") { base.removeLast() }
        if base.hasSuffix("/webhook") { base.removeLast("/webhook".count) }
        guard !base.contains("/webhook") else {
            throw CommandFailure.failed("--base-url: give what stands before /webhook/; test URLs are of no use")
        }
        let steps = try await Session.with { session in
            let plan = try N8nPlan(
                base: base, known: await session.run(.workflowList), organization: organization, types: types,
                source: eventsFrom)
            let steps = export.webhooks.map(plan.step)
            if !dryRun {
                try await Transaction.run(on: session.raw) {
                    for step in steps {
                        guard let request = step.request else { continue }
                        _ = try await session.run(request, step.columns)
                    }
                }
            }
            return steps
        }
        show(steps, export.skipped)
    }

    /// Types by path, of --map and --events, the latter first.
    private func types() throws -> [String: [String]] {
        var types: [String: [String]] = [:]
        if let map {
            let text = try FileContents.given(map)
            guard let object = try? JSONValue(parsing: text).members else {
                throw CommandFailure.failed("--map: \(map) is no JSON object")
            }
            for (path, value) in object {
                guard let list = value.strings ?? value.string.map({ [$0] }) else {
                    throw CommandFailure.failed("--map: \(path.debugDescription) needs a list of types")
                }
                types[path] = try DestinationKind.patterns(list.joined(separator: ","))
            }
        }
        for text in events {
            guard let equals = text.firstIndex(of: "=") else {
                throw CommandFailure.failed("--events needs PATH=TYPES, not \(text.debugDescription)")
            }
            types[String(text[..<equals])] = try DestinationKind.patterns(String(text[text.index(after: equals)...]))
        }
        return types
    }

    private func show(_ steps: [N8nStep], _ skipped: [N8nSkip]) {
        let all = steps + skipped.map { N8nStep(action: .skip, name: $0.what, path: "", remark: $0.why) }
        if output.json {
            for step in all {
                let document: Document = [
                    "action": step.action.rawValue, "name": step.name, "path": step.path, "events": step.events,
                    "remark": step.remark,
                ]
                print(Record(document).text)
            }
            return
        }
        var table = Table(headings: ["action", "name", "path", "events", "remark"])
        table.rows = all.map {
            [$0.action.rawValue, $0.name, $0.path, $0.events.joined(separator: ","), $0.remark]
        }
        for line in table.lines() { print(line) }
        if dryRun { Session.remark("nothing was changed: --dry-run") }
    }
}
