// What the server says unasked: notifications and notices. Handed to callers by Connection.

/// One NOTIFY received on a channel this connection listens to.
public struct Notification: Sendable, Hashable {
    /// The channel's name.
    public let channel: String
    /// The payload; empty when none was given.
    public let payload: String
    /// The process id of the server process that notified.
    public let processID: Int32

    /// Makes a notification; public for tests of code that consumes them.
    ///
    /// - Parameters:
    ///   - channel: the channel's name.
    ///   - payload: the payload, empty for none.
    ///   - processID: the notifying server process.
    public init(channel: String, payload: String, processID: Int32) {
        self.channel = channel
        self.payload = payload
        self.processID = processID
    }
}

/// A warning or other notice of the server (RAISE NOTICE, "relation exists, skipping").
public struct Notice: Sendable, Hashable {
    /// DEBUG, LOG, INFO, NOTICE or WARNING, never translated.
    public let severity: String
    /// The SQLSTATE, nil when the server gave none.
    public let sqlState: String?
    /// The message; may quote data, so treat it as the application's.
    public let message: String
}
