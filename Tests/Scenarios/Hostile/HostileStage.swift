// Hostile receivers on stage: receivers and endpoints for every behaviour of the table.

import Foundation
import TestSupport

/// All hostile receivers, running, and their endpoints in one database.
final class HostileStage: Sendable {
    let cast: [Hostility]
    let receiver: ScriptedReceiver
    let tls: TLSHost
    /// Nobody listens there, nor gets its port.
    private let closed: LoopbackSocket
    private let urls: [String]

    /// Starts them.
    ///
    /// - Parameters:
    ///   - cast: which.
    ///   - isModest: whether they give way to everybody else's work, as if they ran on machines of their own.
    init(_ cast: [Hostility] = Hostility.all(), isModest: Bool = false) throws {
        self.cast = cast
        let scripts = cast.map { hostility -> [Step] in
            switch hostility.place {
            case .scripted(let steps, _), .plainUnderTLS(let steps): steps
            default: [.close]
            }
        }
        let deaf = cast.indices.filter {
            switch cast[$0].place {
            case .scripted(_, let isDeaf): isDeaf
            default: true
            }
        }
        receiver = try ScriptedReceiver(places: cast.count, deaf: Set(deaf), isModest: isModest) { place, _ in scripts[place] }
        tls = try TLSHost(isModest: isModest)
        let closed = try LoopbackSocket(isListening: false)
        var urls: [String] = []
        for (place, hostility) in cast.enumerated() {
            switch hostility.place {
            case .scripted: urls.append(receiver.url(place))
            case .plainUnderTLS: urls.append(receiver.url(place, scheme: "https"))
            case .certificate(let kind): urls.append(tls.url(kind))
            case .url(let url): urls.append(url)
            case .closedPort: urls.append("http://127.0.0.1:\(closed.port)/hook")
            }
        }
        self.urls = urls
        self.closed = closed
    }

    /// What a worker needs to know to work with these receivers.
    var environment: [String: String] { ["POSTRIDER_CA_FILE": tls.authority] }

    /// Makes an endpoint for each; gives their destination ids in order.
    func endpoints(_ outpost: Outpost, events: (Int) -> String, settings: String) async throws -> [Int] {
        var ids: [Int] = []
        for (place, url) in urls.enumerated() {
            ids.append(try await outpost.endpoint(url, events: events(place), settings: settings))
        }
        return ids
    }
}

/// Whether a worker's memory says something: a sanitizer keeps what was freed.
enum MemoryBar {
    static let counts = ProcessInfo.processInfo.environment["POSTRIDER_SANITIZER"] == nil
}

extension WorkerProcess {
    /// Memory of the process in bytes: now (`VmRSS`) and at most since it began (`VmHWM`).
    func memory() throws -> (now: Int, peak: Int) {
        let status = try String(contentsOfFile: "/proc/\(id)/status", encoding: .utf8)
        func value(_ name: String) throws -> Int {
            guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix(name + ":") }),
                let number = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap({ Int($0) })
            else { throw Timeout(what: "\(name) of the worker") }
            return number * 1024
        }
        return (try value("VmRSS"), try value("VmHWM"))
    }
}
