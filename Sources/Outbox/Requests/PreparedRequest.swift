// What goes over the wire. Made by the request builder, handed to the HTTP client by the worker.

/// A request ready to be sent.
public struct PreparedRequest: Sendable, Equatable, CustomStringConvertible, CustomReflectable {
    /// Complete header lines, `Name: value`, without line ends; `Host` and `Content-Length` are left to the client.
    public var headers: [String]
    /// The body.
    public var body: [UInt8]

    /// The sizes alone: headers carry credentials, and bodies what customers entrusted.
    public var description: String { "PreparedRequest(\(headers.count) headers, \(body.count) bytes)" }

    /// A mirror without children.
    public var customMirror: Mirror { Mirror(self, children: EmptyCollection<Mirror.Child>()) }
}
