// An endpoint or n8n workflow as administrators see it, asked whether it would get an event.

internal import Outbox
internal import OutboxStore

/// A destination with what decides about its events; secrets are not needed for that.
struct MatchedDestination {
    let kind: DestinationKind
    let record: Record

    /// All destinations, endpoints first.
    static func all(_ session: Session) async throws -> [MatchedDestination] {
        var all: [MatchedDestination] = []
        for kind in [DestinationKind.endpoint, .workflow] {
            all += try await session.run(kind.list).map { MatchedDestination(kind: kind, record: $0) }
        }
        return all
    }

    /// The endpoint of an id or a name, or else the n8n workflow.
    ///
    /// - Throws: ``CommandFailure`` when there is none, or more than one of that name.
    static func find(_ name: String, _ session: Session) async throws -> MatchedDestination {
        if try await !session.run(DestinationKind.workflow.list, ["id": name]).isEmpty,
            try await session.run(DestinationKind.endpoint.list, ["id": name]).isEmpty
        {
            return MatchedDestination(kind: .workflow, record: try await DestinationKind.workflow.find(name, session))
        }
        return MatchedDestination(kind: .endpoint, record: try await DestinationKind.endpoint.find(name, session))
    }

    /// Its options, out of the text that the database gave: numbers as they were written.
    ///
    /// - Throws: `OptionError`.
    func options() throws(OptionError) -> DeliveryOptions {
        guard case .object(let members) = try JSONValue(parsing: Array(record.text.utf8)),
            case .object(let options) = members["options"]
        else { return .none }
        return try DeliveryOptions(options)
    }

    /// Whether it would get an event, nil when that cannot be told here, and what there is to say about it.
    ///
    /// What cannot be parsed passes filters, as it does with workers, but nothing can be made of it.
    ///
    /// - Parameter payload: what a filter is asked about, nil when it cannot be parsed; or why there is none.
    func answer(
        to event: Event, _ payload: Result<ParsedPayload?, SealingError>
    ) -> (getsIt: Bool?, remark: String) {
        if let refusal = refusal(of: event) { return (false, refusal) }
        if case .success(nil) = payload, let options = try? options(), options.template != nil {
            return (false, "transform: the payload is not JSON")
        }
        guard let filter = try? options().filter else { return (true, treatment) }
        switch payload {
        case .success(nil): return (true, treatment)
        case .success(let payload?):
            guard let place = filter.fault(of: payload) else { return (true, treatment) }
            return (false, "filter: \(place) does not hold")
        case .failure(.missingKey(let name)):
            return (nil, "filter: the payload is sealed with key '\(name)', which is not in POSTRIDER_SECRET_KEYS")
        case .failure:
            return (nil, "filter: the payload is sealed and does not open")
        }
    }

    /// Why it would not get an event whatever its payload; nil when it might.
    private func refusal(of event: Event) -> String? {
        let patterns = record["events"].split(separator: ",").map(String.init)
        guard patterns.contains(where: { (try? EventPattern($0))?.matches(event.type) == true }) else {
            return "wants \(patterns.joined(separator: ", "))"
        }
        let (organization, user) = (record["organization_id"], record["user_id"])
        if !organization.isEmpty, ExactText(organization) != event.organization.map({ ExactText($0) }) {
            return "only of organization \(organization)"
        }
        if !user.isEmpty, ExactText(user) != event.user.map({ ExactText($0) }) { return "only of user \(user)" }
        return nil
    }

    /// What becomes of an event that it would get.
    var treatment: String {
        do {
            let options = try options()
            if !record.isTrue("is_active") { return "waits: \(record["inactive_reason"])" }
            return [
                options.template == nil ? nil : "transform", options.transformFunction.map { "function \($0)" },
            ].compactMap { $0 }.joined(separator: ", ")
        } catch {
            return "waits: \(error)"
        }
    }
}
