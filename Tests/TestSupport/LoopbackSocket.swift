// A TCP socket on 127.0.0.1. Stands for servers that refuse and servers that never answer.

internal import Glibc

/// No port could be bound.
public struct SocketError: Error {}

/// A bound TCP socket, closed when dropped.
public final class LoopbackSocket: Sendable {
    private let descriptor: Int32
    /// The port the system chose.
    public let port: UInt16

    /// Binds to a free port.
    ///
    /// - Parameter isListening: true to take connections into the backlog, where they wait for an answer for ever;
    ///   false to have them refused.
    /// - Throws: ``SocketError`` when no port is free.
    public init(isListening: Bool) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = descriptor
        let status = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                bind(descriptor, generic, length) | getsockname(descriptor, generic, &length)
            }
        }
        port = UInt16(bigEndian: address.sin_port)
        guard status == 0, !isListening || listen(descriptor, 16) == 0 else {
            throw SocketError()
        }
    }

    deinit { close(descriptor) }
}
