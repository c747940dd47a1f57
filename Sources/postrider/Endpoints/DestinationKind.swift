// The two kinds of destination, endpoints and n8n workflows, and what commands do with one of them.

internal import ArgumentParser
internal import FoundationEssentials
internal import HTTPExchange
internal import Outbox
internal import OutboxStore
internal import OutboxWorker

/// The requests and words of one kind of destination.
struct DestinationKind: Sendable {
    /// What the database and JSON call it.
    let word: Destination.Kind
    /// What messages call one of them.
    let noun: String
    let create: AdminRequest
    let list: AdminRequest
    let update: AdminRequest
    let delete: AdminRequest
    let help: DestinationHelp

    static let endpoint = DestinationKind(
        word: .endpoint, noun: "endpoint", create: .endpointCreate, list: .endpointList, update: .endpointUpdate,
        delete: .endpointDelete, help: .endpoint)
    static let workflow = DestinationKind(
        word: .n8n, noun: "n8n workflow", create: .workflowCreate, list: .workflowList, update: .workflowUpdate,
        delete: .workflowDelete, help: .workflow)

    /// A URL that may be stored.
    ///
    /// - Throws: ``CommandFailure`` with the rule that it breaks.
    static func url(_ text: String) throws -> String {
        do {
            let url = try DestinationURL(text)
            let isAllowed = ProcessInfo.processInfo.environment["POSTRIDER_ALLOW_HTTP"].map { $0 != "false" } ?? false
            if url.isPlainHTTP, !isAllowed {
                Session.remark("note: workers send to plain http only with POSTRIDER_ALLOW_HTTP=true")
            }
            return url.text
        } catch {
            throw CommandFailure.failed("--url: \(error)")
        }
    }

    /// A name that may be stored.
    ///
    /// - Throws: ``CommandFailure`` with the rule that it breaks.
    static func name(_ text: String) throws -> String {
        guard (1...200).contains(text.unicodeScalars.count) else {
            throw CommandFailure.failed("--name needs 1 to 200 characters")
        }
        // The same as name_fault in SQL: line breaks of every kind, and marks that turn the direction of text around.
        let isPrintable = text.unicodeScalars.allSatisfy { scalar in
            switch scalar.value {
            case 0...0x1F, 0x7F...0x9F, 0x2028...0x202E, 0x2066...0x2069: false
            default: true
            }
        }
        guard isPrintable else { throw CommandFailure.failed("--name must not hold control characters") }
        return text
    }

    /// Patterns out of a comma list.
    ///
    /// - Throws: ``CommandFailure`` with what is wrong.
    static func patterns(_ list: String) throws -> [String] {
        let patterns = CommaList.entries(list)
        guard !patterns.isEmpty else { throw CommandFailure.failed("--events needs at least one type") }
        for pattern in patterns {
            do { _ = try EventPattern(pattern) } catch { throw CommandFailure.failed("--events: \(error)") }
        }
        return patterns
    }

    /// The one destination of an id or a name.
    ///
    /// - Throws: ``CommandFailure`` when there is none, or more than one of that name.
    func find(_ name: String, _ session: Session) async throws -> Record {
        let found = try await session.run(list, ["id": name])
        guard let first = found.first else {
            throw CommandFailure.notFound("there is no \(noun) \(name.debugDescription)")
        }
        guard found.count == 1 else {
            throw CommandFailure.failed("\(found.count) have the name \(name.debugDescription): use an id of the list")
        }
        return first
    }

    /// Says when others have the name of a new destination: commands then need ids.
    func remarkNamesakes(of record: Record, _ session: Session) async throws {
        let others = try await session.run(list, ["id": record["name"]]).count - 1
        guard others > 0 else { return }
        let have = others == 1 ? "another \(noun) has" : "\(others) other \(noun)s have"
        Session.remark("note: \(have) the name \(record["name"].debugDescription): commands need the id now")
    }

    /// Prints destinations.
    func show(_ records: [Record], json: Bool) {
        Session.show(
            records,
            [
                ("id", "id"), ("name", "name"), ("active", "is_active"), ("events", "events"), ("profile", "profile"),
                ("succeeded", "success_count"), ("failed", "failure_count"), ("url", "url"),
            ], json: json)
    }

    /// Prints what was created: the id alone on standard output, the secret once.
    static func tellCreated(_ record: Record, hadSecret: Bool, json: Bool) {
        if json { return print(record.text) }
        print(record["id"])
        if !hadSecret, !record["secret"].isEmpty {
            Session.remark("secret, shown this once: \(record["secret"])")
        }
        if !record["public_key"].isEmpty {
            Session.remark("public key, for the receiver: \(record["public_key"])")
        }
    }

    /// Switches a destination on or off.
    func setActive(_ name: String, _ isActive: Bool, json: Bool) async throws {
        try await Session.with { session in
            let id = try await find(name, session)["id"]
            for record in try await session.run(update, ["id": id, "is_active": isActive]) {
                print(json ? record.text : record["id"])
            }
        }
    }

    /// Sends one signed request from this process, under the rules of workers.
    func test(_ name: String, json: Bool) async throws {
        let settings = try await Settings.loadForCommand()
        let (id, destination) = try await load(name, settings)
        let exchange = try await DestinationTest.send(to: destination, settings)
        let told: Document = ["id": id, "name": destination.name, "kind": destination.kind.rawValue]
        print(json ? Record(told.merging(exchange.document) { $1 }).text : "\(noun) \(id): \(exchange.summary)")
        guard exchange.isDelivered else { throw CommandFailure.failed("the test request was not accepted") }
    }

    /// The id and the whole destination, with its secrets opened, as workers load it.
    ///
    /// - Throws: ``CommandFailure`` when there is none, or it cannot be used.
    func load(_ name: String, _ settings: Settings) async throws -> (id: String, destination: Destination) {
        try await Session.with { session in
            let record = try await find(name, session)
            let routing = try await Transaction.snapshot(on: session.raw) {
                try await RoutingStore.load(on: session.raw, keys: session.keys, grants: settings.worker.grants)
            }
            let found = routing.destinations.first { $0.uuid == record["id"] }
            let fault = routing.faults.first { "\($0.destination)" == record["destination_id"] }
            guard let destination = found, fault == nil else {
                throw CommandFailure.failed("the \(noun) cannot be used: " + (fault?.reason ?? "it is gone"))
            }
            return (record["id"], destination)
        }
    }
}
