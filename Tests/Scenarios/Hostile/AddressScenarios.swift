// Refused addresses are never dialled: the kernel itself counts the connections that a worker opens.

import Foundation
import Postgres
import Testing

extension Scenarios {
    @Suite(.enabled(if: AnyIPNetwork.obstacle == nil, "a network namespace with the program ip, as root"))
    struct HostileAddresses {
        private static let port: UInt16 = 8080

        private func good(_ network: AnyIPNetwork) async throws -> ScriptedReceiver {
            try await network.within {
                try ScriptedReceiver(listeners: [Sockets.listenEverywhere(port: Self.port)]) { _, _ in
                    [.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), .again]
                }
            }
        }

        private func worker(_ network: AnyIPNetwork, _ outpost: Outpost, allowing networks: String = "") async throws -> WorkerProcess {
            try await network.within { try WorkerProcess(outpost, environment: ["POSTRIDER_ALLOW_NETWORKS": networks]) }
        }

        /// One endpoint for each URL, all for one type of event; waits until every delivery has its verdict.
        private func deliver(_ outpost: Outpost, _ type: String, to hosts: [String]) async throws {
            try await outpost.sql(
                """
                INSERT INTO postrider.webhook_endpoints (name, url, events, max_attempts)
                SELECT 'at ' || host, 'http://' || host || ':\(Self.port)/', ARRAY[$2::text], 1 FROM unnest($1::text[]) AS host
                """, [.texts(hosts), .text(type)])
            try await outpost.emit(type)
            try await outpost.settled(within: .seconds(60))
        }

        /// How many attempts there were of each class, delivered ones under "".
        private func classes(_ outpost: Outpost, _ type: String) async throws -> [String: Int] {
            let rows = try await outpost.sql(
                """
                SELECT coalesce(a.failure, ''), count(*) FROM postrider.webhook_attempts AS a
                JOIN postrider.webhook_event_log AS e ON e.id = a.event_id WHERE e.event_type = $1 GROUP BY 1
                """, [.text(type)])
            return Dictionary(uniqueKeysWithValues: try rows.map { (try $0.string(0), try $0.int(1)) })
        }

        @Test func refusedAddressesAreNeverDialledAndAllowedOnesAre() async throws {
            let started = ContinuousClock.now
            let network = try await AnyIPNetwork()
            let refused = AddressCases.refused
            let outpost = try await Outpost()
            let receiver = try await good(network)
            // Names for them, too: alone, and beside an address that would do.
            let names = Dictionary(
                uniqueKeysWithValues: refused.enumerated().map { ("n\($0.offset).test", $0.element) })
            let server = try await network.within {
                try NameServer { name, nth in
                    if let address = names[name] { return [address] }
                    if let address = names[name.replacingOccurrences(of: "both-", with: "")] {
                        return ["8.8.8.8", "2606:4700::1111", address]
                    }
                    switch name {
                    case "good.test": return ["9.9.9.9"]
                    case "goodsix.test": return ["2620:fe::fe"]
                    case "rebind.test": return nth == 0 ? ["8.8.4.4"] : ["127.0.0.1", "10.0.0.1"]
                    default: return []
                    }
                }
            }
            let worker = try await self.worker(network, outpost)
            let all =
                refused.map(AddressCases.host) + names.keys.sorted() + names.keys.sorted().map { "both-" + $0 }
                + ["localhost", "LOCALHOST"]
            try await deliver(outpost, "refused.all", to: all)
            let opened = try await network.connectionsOpened()
            let verdicts = try await classes(outpost, "refused.all")
            #expect(opened == 0)
            #expect(receiver.accepted == 0)
            #expect(verdicts == ["refused_address": all.count])
            // The same worker, the same network: what is allowed connects, so the zero above is the guard's.
            let allowed = AddressCases.allowed.map(AddressCases.host) + ["good.test", "goodsix.test", "rebind.test"]
            try await deliver(outpost, "allowed.all", to: allowed)
            #expect(try await classes(outpost, "allowed.all") == ["": allowed.count])
            #expect(try await network.connectionsOpened() == allowed.count)
            // Rebinding: the name has led elsewhere since the check, and the checked address is what was dialled.
            #expect(receiver.dialled.contains("::ffff:8.8.4.4"))
            #expect(server.questions(for: "rebind.test") == 2, "one for each family, none at the dial")
            try await deliver(outpost, "again.refused", to: ["[::ffff:127.0.0.1]"])
            #expect(try await network.connectionsOpened() == allowed.count)
            #expect(worker.stop() == 0)
            try ChaosReport.add(
                bar: "refused addresses: every range, both families, mapped and embedded forms",
                goal: "0 connections attempted; allowed ones connect",
                result: "\(all.count) refused hosts (literals, names, names beside a good address): "
                    + "\(opened) connections opened by the kernel's count; \(allowed.count) allowed ones: all connected",
                pass: opened == 0 && verdicts == ["refused_address": all.count] && receiver.accepted == allowed.count,
                injections: all.count, since: started)
        }

        @Test func allowedNetworksOpenExactlyThemselves() async throws {
            let network = try await AnyIPNetwork()
            let outpost = try await Outpost()
            let receiver = try await good(network)
            let worker = try await self.worker(network, outpost, allowing: "10.20.0.0/16,fd12::/16")
            try await deliver(
                outpost, "open.all", to: ["10.20.0.0", "10.20.255.255", "[fd12::1]", "[::ffff:10.20.1.1]", "8.8.8.8"])
            #expect(try await classes(outpost, "open.all") == ["": 5])
            #expect(try await network.connectionsOpened() == 5)
            try await deliver(
                outpost, "shut.all", to: ["10.19.255.255", "10.21.0.0", "[fd13::1]", "[::ffff:10.21.1.1]", "127.0.0.1", "[::1]"])
            #expect(try await classes(outpost, "shut.all") == ["refused_address": 6])
            #expect(try await network.connectionsOpened() == 5)
            #expect(receiver.accepted == 5)
            #expect(worker.stop() == 0)
        }
    }
}
