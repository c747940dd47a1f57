// A network namespace of one replica's own, with two links to this machine: one to Postgres, one to receivers. It is gone
// with the replica's process.

import Foundation
import Glibc
import TestSupport

/// The links of a replica in a namespace, and the way to drop every packet of the one to Postgres.
final class Namespace: Sendable {
    /// This machine's address on the link to Postgres.
    static let databaseAddress = "10.213.0.1"
    /// This machine's address on the link to receivers.
    static let receiverAddress = "10.213.1.1"

    let replica: Replica
    private let links: [String]
    private let gate: Int32

    /// Why no namespace can be made here; nil when one can.
    static let obstacle: String? = {
        guard getuid() == 0 else { return "making a network namespace needs root" }
        guard let child = try? ChildProcess(["unshare", "-n", "ip", "link", "add", "po0", "type", "veth", "peer", "name", "po1"]) else {
            return "unshare (util-linux) is missing"
        }
        // A look of some milliseconds, once for the whole run.
        let deadline = ContinuousClock.now + .seconds(30)
        while child.end == nil, ContinuousClock.now < deadline { usleep(1000) }
        return child.end == .exited(0) ? nil : "unshare -n or a veth link is not permitted, or ip (iproute2) is missing"
    }()

    /// Makes this machine's ends of the links, so that sockets can listen on them before there is a replica.
    static func makeLinks() async throws -> [String] {
        let names = ["postrider\(getpid() % 100_000)", "receiver\(getpid() % 100_000)"].map { String($0.prefix(15)) }
        for (name, address) in zip(names, [databaseAddress, receiverAddress]) {
            try await ip("link", "add", name, "type", "veth", "peer", "name", peer(name))
            try await ip("addr", "add", address + "/30", "dev", name)
            try await ip("link", "set", name, "up")
        }
        return names
    }

    private static func peer(_ name: String) -> String { String(("x" + name).prefix(15)) }

    /// Starts a worker at the other ends of the links.
    init(_ name: String, url: String, links: [String]) async throws {
        self.links = links
        var pipes: [Int32] = [0, 0]
        guard pipe(&pipes) == 0 else { throw Timeout(what: "a pipe") }
        gate = pipes[1]
        _ = fcntl(gate, F_SETFD, FD_CLOEXEC)
        // The shell waits for its links and then becomes the worker.
        let script = #"read -r go && ip link set lo up && exec "$0" "$@""#
        replica = try Replica(name, url: url, wrapper: ["unshare", "-n", "sh", "-c", script], input: pipes[0])
        close(pipes[0])
        let id = "\(replica.id)"
        try await eventually("the namespace") {
            let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/net")
            return try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(id)/ns/net") != own
        }
        for (link, address) in zip(links, ["10.213.0.2", "10.213.1.2"]) {
            try await Self.ip("link", "set", Self.peer(link), "netns", id)
            try await inside("ip", "addr", "add", address + "/30", "dev", Self.peer(link))
            try await inside("ip", "link", "set", Self.peer(link), "up")
        }
        _ = write(gate, "go\n", 3)
    }

    deinit { close(gate) }

    /// Drops every packet between the replica and Postgres, both ways, without a word to either: they go to a hardware
    /// address that nobody has.
    func cut() async throws {
        let nobody = ["lladdr", "02:00:00:00:00:01", "nud", "permanent"]
        try await Self.ip(["neigh", "replace", "10.213.0.2", "dev", links[0]] + nobody)
        try await inside(["ip", "neigh", "replace", Self.databaseAddress, "dev", Self.peer(links[0])] + nobody)
    }

    /// Lets packets pass again.
    func heal() async throws {
        try await Self.ip("neigh", "del", "10.213.0.2", "dev", links[0])
        try await inside("ip", "neigh", "del", Self.databaseAddress, "dev", Self.peer(links[0]))
    }

    /// Takes the links away; that the replica has ended would do it too, some time later.
    static func remove(_ links: [String]) async {
        for link in links { _ = try? await ChildProcess.run(["ip", "link", "del", link]) }
    }

    private func inside(_ command: String...) async throws { try await inside(command) }

    private func inside(_ command: [String]) async throws {
        try await Self.run(["nsenter", "-t", "\(replica.id)", "-n"] + command)
    }

    private static func ip(_ arguments: String...) async throws { try await ip(arguments) }

    private static func ip(_ arguments: [String]) async throws { try await run(["ip"] + arguments) }

    private static func run(_ command: [String]) async throws {
        guard try await ChildProcess.run(command) == 0 else { throw Timeout(what: command.joined(separator: " ")) }
    }
}
