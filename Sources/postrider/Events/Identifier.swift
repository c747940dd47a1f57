// Ids as people give them. Used by every command that takes one.

internal import Outbox

/// A uuid on the command line.
enum Identifier {
    /// The id in its usual form.
    ///
    /// - Throws: ``CommandFailure`` when it is no uuid.
    static func check(_ text: String) throws -> String {
        guard let id = EventID(text) else { throw CommandFailure.failed("\(text.debugDescription) is no id") }
        return id.description
    }
}
