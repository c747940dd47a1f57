// What a receiver says of single events of a batch. Called by the worker for answers to batches.

/// The partial answer to a batch, in the form of AWS Lambda's batch item failures:
/// `{"batchItemFailures": [{"itemIdentifier": "<event id>"}]}`.
public enum BatchAnswer {
    /// The identifiers of the events that were refused; empty when the body tells of none, or is nothing of the kind.
    public static func refusedItems(_ body: [UInt8]) -> Set<String> {
        // Most receivers answer with nothing, or with a word.
        guard body.first(where: { $0 > UInt8(ascii: " ") }) == UInt8(ascii: "{"),
            let value = try? JSONValue(parsing: body), case .object(let members) = value,
            case .array(let failures) = members["batchItemFailures"]
        else { return [] }
        var refused: Set<String> = []
        for failure in failures {
            if case .object(let item) = failure, case .string(let identifier) = item["itemIdentifier"] {
                refused.insert(identifier)
            }
        }
        return refused
    }
}
