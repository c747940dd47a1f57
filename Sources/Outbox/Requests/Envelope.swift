// The body of a request. Called once per event and profile; deliveries share the bytes. What the same variables are in headers
// and signed strings, where nothing is quoted, is in AttemptValues.

/// Rendering of envelopes.
enum Envelope {
    /// One event of a batch.
    static let batchElement = compiled(
        #"{"id":"{event.id}","type":"{event.type}","timestamp":"{event.created_at}","data":{data}}"#)
    /// The payload alone.
    static let bare = compiled("{data}")

    private static func compiled(_ text: String) -> Template {
        do { return try Template(text, role: .envelope) } catch { preconditionFailure("\(text): \(error)") }
    }

    /// Gives the body of an event. An empty payload counts as `null`.
    static func render(_ template: Template, _ event: Event) -> [UInt8] {
        // The payload alone is sent from where it is.
        if !event.data.isEmpty, template.segments.count == 1, case .variable(.data, _)? = template.segments.first {
            return event.data
        }
        var output: [UInt8] = []
        output.reserveCapacity(event.data.count + template.text.utf8.count + 160)
        for segment in template.segments {
            switch segment {
            case .literal(let bytes): output.append(contentsOf: bytes)
            case .variable(let variable, let placement): append(variable, placement, of: event, to: &output)
            }
        }
        return output
    }

    private static func append(
        _ variable: Template.Variable,
        _ placement: Template.Placement,
        of event: Event,
        to output: inout [UInt8]
    ) {
        switch variable {
        case .data where event.data.isEmpty: output.append(contentsOf: "null".utf8)
        case .data: output.append(contentsOf: event.data)
        case .createdUnix: Timestamp.appendDecimal(event.createdAtSeconds, to: &output)
        case .createdMilliseconds: Timestamp.appendDecimal(event.createdAtMilliseconds, to: &output)
        case .eventID, .createdAt: appendQuotable(variable, placement, of: event, to: &output)
        case .eventType: append(event.type, placement, to: &output)
        case .organization: append(event.organization, placement, to: &output)
        case .user: append(event.user, placement, to: &output)
        case .recordID: append(event.recordID, placement, to: &output)
        case .deliveryID, .attempt, .destinationID, .timestamp, .timestampMilliseconds, .timestampISO, .body,
            .canonicalBody, .signature:
            break
        }
    }

    /// Values that need no escaping, only quotes when they stand alone.
    private static func appendQuotable(
        _ variable: Template.Variable,
        _ placement: Template.Placement,
        of event: Event,
        to output: inout [UInt8]
    ) {
        if placement == .wholeValue { output.append(UInt8(ascii: "\"")) }
        if variable == .eventID {
            event.id.append(to: &output)
        } else {
            Timestamp.appendISO8601(microseconds: event.createdAtMicroseconds, to: &output)
        }
        if placement == .wholeValue { output.append(UInt8(ascii: "\"")) }
    }

    private static func append(_ text: String?, _ placement: Template.Placement, to output: inout [UInt8]) {
        if placement == .wholeValue {
            JSONText.appendValue(text, to: &output)
        } else if let text {
            JSONText.appendContent(text, to: &output)
        }
    }
}
