// What the database has for a payload that a claim left there. Made by ClaimStore.

/// The payload of an event, loaded by itself.
public enum StoredPayload: Sendable, Equatable {
    /// JSON text.
    case data([UInt8])
    /// It is there, and larger than what is read.
    case tooLarge
    /// The event is no more.
    case gone
}
