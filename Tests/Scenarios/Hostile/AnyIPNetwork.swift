// A network namespace in which every address of both families leads to this machine: whatever a worker dials there
// connects, so that what it does not dial is seen. Its kernel counts every connection that is opened.

import CLinux
import Foundation
import Glibc
import TestSupport

/// A network of its own, gone with the value and the processes in it. Needs root and the program `ip`.
final class AnyIPNetwork: Sendable {
    /// Why tests that need it cannot run here; nil when they can.
    static let obstacle: String? =
        getuid() != 0
        ? "needs root"
        : ["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip"].contains(where: FileManager.default.isExecutableFile)
            ? nil : "needs the program ip (Debian: iproute2)"

    private let space: Int32

    /// Makes the network.
    init() async throws {
        space = try await Self.onAThread {
            guard unshare(CLINUX_NEWNET) == 0 else { throw Timeout(what: "a network namespace: \(errno)") }
            for command in [
                "link set lo up", "route add local 0.0.0.0/0 dev lo", "-6 route add local ::/0 dev lo",
            ] {
                let program = try Program(["ip"] + command.split(separator: " ").map(String.init))
                guard program.wait() == 0 else { throw Timeout(what: "ip \(command)") }
            }
            let space = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)
            guard space >= 0 else { throw Timeout(what: "the namespace's file: \(errno)") }
            return space
        }
    }

    deinit { close(space) }

    /// Runs something on a thread in the network: sockets and processes that it makes stay in there.
    func within<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        let space = space
        return try await Self.onAThread {
            guard setns(space, CLINUX_NEWNET) == 0 else { throw Timeout(what: "the network namespace: \(errno)") }
            return try body()
        }
    }

    /// How many TCP connections were opened from within, connected or not (`Tcp: ActiveOpens`, both families).
    func connectionsOpened() async throws -> Int {
        try await within {
            let text = try String(contentsOfFile: "/proc/thread-self/net/snmp", encoding: .utf8)
            let lines = text.split(separator: "\n").filter { $0.hasPrefix("Tcp:") }.map { $0.split(separator: " ") }
            guard lines.count == 2, let column = lines[0].firstIndex(of: "ActiveOpens"), column < lines[1].count,
                let count = Int(lines[1][column])
            else { throw Timeout(what: "the kernel's count of connections") }
            return count
        }
    }

    private static func onAThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            do {
                try DetachedThread.start { continuation.resume(with: Result { try body() }) }
            } catch {
                continuation.resume(throwing: error)
            }
        }
    }
}
