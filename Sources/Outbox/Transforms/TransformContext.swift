// What a transform function is told beside the payload. Written by the worker and by the command line.

/// The second argument of a transform function.
public enum TransformContext {
    /// A JSON object with what is the same on every attempt: `event_id`, `event_type`, `created_at`, `organization_id`,
    /// `user_id`, `record_id`, `destination_id`, `destination_name`; null where there is nothing.
    public static func text(event: Event, destinationID: String?, destinationName: String?) -> [UInt8] {
        var created: [UInt8] = []
        Timestamp.appendISO8601(microseconds: event.createdAtMicroseconds, to: &created)
        let members: [(StaticString, String?)] = [
            ("event_id", event.id.description), ("event_type", event.type),
            ("created_at", String(decoding: created, as: UTF8.self)), ("organization_id", event.organization),
            ("user_id", event.user), ("record_id", event.recordID), ("destination_id", destinationID),
            ("destination_name", destinationName),
        ]
        var output: [UInt8] = []
        for (name, value) in members {
            output.append(contentsOf: (output.isEmpty ? "{\"" : ", \"").utf8)
            output.append(contentsOf: "\(name)\": ".utf8)
            JSONText.appendValue(value, to: &output)
        }
        output.append(UInt8(ascii: "}"))
        return output
    }
}
