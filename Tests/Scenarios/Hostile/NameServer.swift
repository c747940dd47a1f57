// A name server that answers as a test wants, also differently each time. For the network namespace of a test, where it
// stands at the address that /etc/resolv.conf names.

import Foundation
import Glibc
import Synchronization
import TestSupport

/// Answers queries for A and AAAA over UDP, until the value is gone.
final class NameServer: Sendable {
    /// The addresses of a name: what to answer the nth question of this name and kind, n from 0.
    typealias Zone = @Sendable (_ name: String, _ nth: Int) -> [String]

    private let socket: Int32
    private let asked = Mutex<[String: Int]>([:])

    /// Starts one. Call within the namespace.
    init(_ zone: @escaping Zone) throws {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(53).bigEndian
        inet_pton(AF_INET, Self.configured, &address.sin_addr)
        let code = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard code == 0 else { throw Timeout(what: "port 53 of \(Self.configured): \(errno)") }
        self.socket = socket
        try DetachedThread.start { [weak self] in
            var query = [UInt8](repeating: 0, count: 512)
            while true {
                var peer = sockaddr_in()
                var length = socklen_t(MemoryLayout<sockaddr_in>.size)
                let count = withUnsafeMutablePointer(to: &peer) { pointer in
                    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        recvfrom(socket, &query, query.count, 0, $0, &length)
                    }
                }
                guard count > 12, let self, let reply = self.reply(to: Array(query[..<count]), zone) else { break }
                _ = withUnsafePointer(to: &peer) { pointer in
                    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        sendto(socket, reply, reply.count, 0, $0, length)
                    }
                }
            }
            close(socket)
        }
    }

    deinit { shutdown(socket, Int32(SHUT_RDWR)) }

    /// How often a name was asked for, both kinds together.
    func questions(for name: String) -> Int {
        asked.withLock { asked in asked.filter { $0.key.hasPrefix(name + "/") }.values.reduce(0, +) }
    }

    /// The first name server of /etc/resolv.conf, as the resolver of a worker reads it.
    private static let configured: String = {
        let text = (try? String(contentsOfFile: "/etc/resolv.conf", encoding: .utf8)) ?? ""
        for line in text.split(separator: "\n") {
            let words: [Substring] = line.split(separator: " ")
            if words.count > 1, words[0] == "nameserver", words[1].contains(".") { return String(words[1]) }
        }
        return "127.0.0.1"
    }()

    /// The answer of RFC 1035, section 4.1: the question again, then the addresses of its kind.
    private func reply(to query: [UInt8], _ zone: Zone) -> [UInt8]? {
        var labels: [String] = []
        var place = 12
        while place < query.count, query[place] > 0 {
            let end = place + 1 + Int(query[place])
            guard end < query.count else { return nil }
            labels.append(String(decoding: query[(place + 1)..<end], as: UTF8.self))
            place = end
        }
        guard place + 5 <= query.count else { return nil }
        let kind = query[place + 2]
        let name = labels.joined(separator: ".").lowercased()
        let nth = asked.withLock { asked in
            asked["\(name)/\(kind)", default: 0] += 1
            return (asked["\(name)/\(kind)"] ?? 1) - 1
        }
        let addresses = zone(name, nth).compactMap { Self.bytes(of: $0, kind: kind) }
        // "No such name" for a name without any address; an address of the other family only is an empty answer.
        let code: UInt8 = zone(name, nth).isEmpty ? 0x83 : 0x80
        var reply: [UInt8] = [query[0], query[1], 0x81, code, 0, 1, 0, UInt8(addresses.count), 0, 0, 0, 0]
        reply.append(contentsOf: query[12..<(place + 5)])
        for bytes in addresses {
            // Never kept: a time to live of 0.
            let record: [UInt8] = [0xC0, 12, 0, kind, 0, 1, 0, 0, 0, 0, 0, UInt8(bytes.count)]
            reply.append(contentsOf: record)
            reply.append(contentsOf: bytes)
        }
        return reply
    }

    private static func bytes(of address: String, kind: UInt8) -> [UInt8]? {
        let family = address.contains(":") ? AF_INET6 : AF_INET
        guard kind == (family == AF_INET6 ? 28 : 1) else { return nil }
        var bytes = [UInt8](repeating: 0, count: family == AF_INET6 ? 16 : 4)
        return inet_pton(family, address, &bytes) == 1 ? bytes : nil
    }
}
