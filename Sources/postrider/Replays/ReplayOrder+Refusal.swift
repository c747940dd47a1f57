// Why a delivery or event that somebody named cannot be sent again. Asked when a replay of it would send nothing.

internal import OutboxStore

extension ReplayOrder {
    /// Why nothing of what was named can be sent, in one line.
    func refusal(_ session: Session) async throws -> String {
        let name = options.delivery.map { "delivery \($0)" } ?? "event \(options.event ?? "")"
        let what = criteria["what"] as? String
        if what == "dead_letters" {
            return
                "\(name) has no dead letter to send: it was sent again, is archived, or its endpoint is deleted or of "
                + "another organization or user now"
        }
        return "\(name) cannot be sent again: \(Self.reason(try await deliveries(session)))"
    }

    /// The deliveries that were named, as far as there are attempts of them or they wait for the first.
    private func deliveries(_ session: Session) async throws -> [Record] {
        if let delivery = options.delivery {
            return try await session.run(.deliveryShow, ["id": try Identifier.check(delivery)])
        }
        guard let event = options.event else { return [] }
        let all = try await session.record(.eventShow, id: event, "event").records("deliveries")
        guard let endpoint = options.endpoint else { return all }
        return all.filter { $0["endpoint_id"] == endpoint || $0["endpoint"] == endpoint }
    }

    private static func reason(_ deliveries: [Record]) -> String {
        if deliveries.isEmpty {
            return "it was not attempted yet, no endpoint wants it, its endpoint is deleted, or its attempts are gone"
        }
        if deliveries.contains(where: { $0["status"] == "pending" }) { return "it is sent without a replay" }
        let isGone = deliveries.contains { $0.has("event_type") && $0["event_type"].isEmpty }
        return isGone
            ? "its event is gone"
            : "its endpoint is deleted or of another organization or user now, or it was being sent a moment ago"
    }
}
