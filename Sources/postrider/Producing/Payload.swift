// A payload as commands take it: the JSON itself, @file, or - for standard input.

internal import Outbox

/// Reads payloads.
enum Payload {
    /// The bytes, as they stand.
    ///
    /// - Throws: ``CommandFailure`` when the file cannot be read, or what is there is no JSON.
    static func read(_ text: String) throws -> [UInt8] {
        let data = try DataArgument(argument: text).bytes()
        // The server would refuse it too, with a message about a larger document.
        do { _ = try ParsedPayload(parsing: data) } catch { throw CommandFailure.failed("--data is no JSON") }
        return data
    }
}
