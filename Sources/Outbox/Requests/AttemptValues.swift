// The values that headers and signed strings may name, for one attempt. Filled in by the request builder. What the same
// variables are in bodies is in Envelope.

/// What variables stand for outside of envelopes.
struct AttemptValues {
    let event: Event
    let eventID: [UInt8]
    let destinationID: [UInt8]
    let deliveryID: String
    let attempt: Int
    let unixSeconds: Int64
    /// Decimal digits of `unixSeconds`.
    let timestamp: [UInt8]
    /// All signatures, with prefixes and separators; empty until they are made.
    var signature: [UInt8] = []

    /// Appends the text of a template.
    func append(_ segments: [Template.Segment], to output: inout [UInt8]) {
        for segment in segments {
            switch segment {
            case .literal(let bytes): output.append(contentsOf: bytes)
            case .variable(let variable, _): append(variable, to: &output)
            }
        }
    }

    private func append(_ variable: Template.Variable, to output: inout [UInt8]) {
        switch variable {
        case .eventID: output.append(contentsOf: eventID)
        case .eventType: output.append(contentsOf: event.type.utf8)
        case .createdAt: Timestamp.appendISO8601(microseconds: event.createdAtMicroseconds, to: &output)
        case .createdUnix: Timestamp.appendDecimal(event.createdAtSeconds, to: &output)
        case .createdMilliseconds: Timestamp.appendDecimal(event.createdAtMilliseconds, to: &output)
        case .organization: output.append(contentsOf: (event.organization ?? "").utf8)
        case .user: output.append(contentsOf: (event.user ?? "").utf8)
        case .recordID: output.append(contentsOf: (event.recordID ?? "").utf8)
        case .deliveryID: output.append(contentsOf: deliveryID.utf8)
        case .attempt: Timestamp.appendDecimal(Int64(attempt), to: &output)
        case .destinationID: output.append(contentsOf: destinationID)
        case .timestamp: output.append(contentsOf: timestamp)
        case .timestampMilliseconds: Timestamp.appendDecimal(unixSeconds &* 1000, to: &output)
        case .timestampISO:
            Timestamp.appendISO8601(microseconds: unixSeconds &* 1_000_000, to: &output)
        case .signature: output.append(contentsOf: signature)
        // Not in these templates: `Template.Role` refuses them, and the body is signed as a piece of its own.
        case .data, .body, .canonicalBody: break
        }
    }
}
