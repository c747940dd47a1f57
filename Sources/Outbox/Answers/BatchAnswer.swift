// What a receiver says of single events of a batch. Called by the worker for answers to batches.

/// The partial answer to a batch, in the form of AWS Lambda's batch item failures:
/// `{"batchItemFailures": [{"itemIdentifier": "<event id>"}]}`.
///
/// As there, a list that cannot be read refuses the whole batch: what a receiver says did not work must not count as delivered
/// because it said so badly (Lambda, "Reporting batch item failures", success and failure conditions).
public enum BatchAnswer {
    /// The events that were refused.
    ///
    /// - Parameters:
    ///   - body: the answer's body, or its beginning where it was longer than what is kept.
    ///   - batch: gives the events of the batch; not called when the body tells of none.
    /// - Returns: some of the batch's events; all of them when the list is cut off, names anything else, or is no list; none
    ///   when there is no list, it is null or empty, or the body is nothing of the kind.
    public static func refused(_ body: [UInt8], of batch: () -> Set<EventID>) -> Set<EventID> {
        // Most receivers answer with nothing, or with a word.
        guard body.first(where: { $0 > UInt8(ascii: " ") }) == UInt8(ascii: "{") else { return [] }
        // What does not parse is some other text, unless the list stands in it: then it was cut off or written badly.
        guard let value = try? JSONValue(parsing: body, refusesTwins: false), case .object(let members) = value else {
            return body.firstRange(of: Array("\"\(member)\"".utf8)) == nil ? [] : batch()
        }
        switch members[member] {
        case nil, .null: return []
        case .array(let failures):
            return failures.isEmpty ? [] : named(failures, of: batch())
        default: return batch()
        }
    }

    private static let member = "batchItemFailures"

    private static func named(_ failures: [JSONValue], of batch: Set<EventID>) -> Set<EventID> {
        var refused: Set<EventID> = []
        for failure in failures {
            guard case .object(let item) = failure, case .string(let text) = item["itemIdentifier"],
                let id = EventID(text), batch.contains(id)
            else { return batch }
            refused.insert(id)
        }
        return refused
    }
}
