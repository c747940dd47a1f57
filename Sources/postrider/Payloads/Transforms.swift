// `postrider transform`.

internal import ArgumentParser
internal import FoundationEssentials
internal import Outbox
internal import OutboxStore
internal import Postgres

/// Transforms of payloads.
struct Transforms: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "transform", abstract: "Try transforms of payloads.", subcommands: [Test.self])

    /// `postrider transform test`.
    struct Test: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print what a transform makes of a payload. Exit status 1 when it fails.",
            discussion: """
                A template needs no database. A function is called as workers do, reading only; "dropped" says that it gave \
                null. The rules stand in docs/options.md.

                  postrider transform test --template '{"include": ["id"], "set": {"source": "crm"}}' --data @payload.json
                  postrider transform test --endpoint billing --type invoice.paid --data '{"id": 17}'
                """)
        @Option(help: "The transform of this endpoint or n8n workflow: id or name.") var endpoint: String?
        @Option(help: ArgumentHelp("This template: JSON, @file, or - for standard input.", valueName: "json"))
        var template: DataArgument?
        @Option(help: ArgumentHelp("This function, after the template if there is one.", valueName: "schema.name"))
        var function: String?
        @Option(help: "Type of the event, which functions are told.") var type = DestinationTest.eventType
        @Option(help: ArgumentHelp("The payload: JSON, @file, or - for standard input.", valueName: "json"))
        var data: DataArgument

        func validate() throws {
            guard (endpoint != nil) != (template != nil || function != nil) else {
                throw ValidationError("give --endpoint, or --template and --function or one of them")
            }
        }

        func run() async throws {
            let payload = try data.bytes()
            let parsed = try CommandFailure.naming("--data") { try ParsedPayload(parsing: payload) }
            if let endpoint {
                return try await Session.with { session in
                    let destination = try await MatchedDestination.find(endpoint, session)
                    let options = try destination.options()
                    try await apply(options.template, options.transformFunction, payload, parsed, destination, session)
                }
            }
            let template = try template.map { text in
                try CommandFailure.naming("--template") { try PayloadTemplate(parsing: try text.bytes()) }
            }
            guard function != nil else { return try await apply(template, nil, payload, parsed, nil, nil) }
            try await Session.with { try await apply(template, function, payload, parsed, nil, $0) }
        }

        private func apply(
            _ template: PayloadTemplate?, _ function: String?, _ payload: [UInt8], _ parsed: ParsedPayload,
            _ destination: MatchedDestination?, _ session: Session?
        ) async throws {
            let shaped = try CommandFailure.naming("--data") { try template?.apply(to: parsed) ?? payload }
            guard let function, let session else { return print(String(decoding: shaped, as: UTF8.self)) }
            let context = TransformContext.text(
                event: event(shaped), destinationID: destination?.record["id"],
                destinationName: destination?.record["name"])
            switch try await TransformStore.call(function: function, [(shaped, context)], on: session.raw)[0] {
            case .data(let data): print(String(decoding: data, as: UTF8.self))
            case .dropped: print("dropped")
            case .failed(let reason): throw CommandFailure.failed(reason)
            }
        }

        /// An event that was never written.
        private func event(_ data: [UInt8]) -> Event {
            let now = Date().timeIntervalSince1970
            let id = EventID(high: UInt64(now * 1000) << 16 | 0x7000, low: 0x8000_0000_0000_0000)
            return Event(id: id, type: type, createdAtMicroseconds: Int64(now * 1_000_000), data: data)
        }
    }
}
