// Every hostile behaviour by name, and what it must lead to: one table for the scenarios and for docs/wire.md.

import Foundation
import TestSupport

/// A receiver that misbehaves, or an address that should not be reached.
struct Hostility: Sendable {
    /// Where the request goes.
    enum Place: Sendable {
        /// To a receiver that does this with every request, or, `deaf`, with every connection.
        case scripted([Step], deaf: Bool = false)
        /// To such a receiver, under `https`: it does this with every connection.
        case plainUnderTLS([Step])
        /// To a TLS receiver with such a certificate, which answers 200.
        case certificate(TLSHost.Kind)
        /// To this URL.
        case url(String)
        /// To a port where nobody listens.
        case closedPort
    }

    /// What becomes of the delivery.
    enum Ending: Sendable, Equatable {
        case delivered
        /// Tried again on the schedule.
        case retry
        /// Tried again at once, then on the schedule.
        case instantRetry
        /// Tried again after so many seconds; the destination pauses.
        case later(ClosedRange<Double>)
        /// A dead letter at once.
        case dead
        /// Done, and the destination is disabled.
        case deliveredAndDisabled
        /// Waits, and the destination is disabled.
        case parkedAndDisabled

        /// In the words of docs/wire.md.
        var words: String {
            switch self {
            case .delivered: "delivered"
            case .retry: "retry"
            case .instantRetry: "one retry at once, then the schedule"
            case .later(let range): "retry after \(Int(range.lowerBound)) s, destination pauses"
            case .dead: "dead letter"
            case .deliveredAndDisabled: "delivered, destination disabled"
            case .parkedAndDisabled: "parked, destination disabled"
            }
        }

        var disables: Bool { self == .deliveredAndDisabled || self == .parkedAndDisabled }
    }

    /// As in docs/wire.md.
    let title: String
    let place: Place
    /// `webhook_attempts.failure`; nil when delivered.
    let failure: String?
    /// `webhook_attempts.status_code`.
    let status: Int?
    let ending: Ending

    init(_ title: String, _ place: Place, _ failure: String?, _ status: Int?, _ ending: Ending) {
        self.title = title
        self.place = place
        self.failure = failure
        self.status = status
        self.ending = ending
    }

    /// The row of docs/wire.md.
    var row: String { "| \(title) | \(failure.map { "`\($0)`" } ?? "") | \(ending.words) |" }
}

extension Hostility {
    /// The schedule of the destinations in these scenarios: 60 s, then 120 s, no jitter.
    static let schedule = "base_delay_ms = 60000, jitter = 0, max_attempts = 4"

    private static func answer(_ status: Int, _ headers: String = "", body: String = "") -> [Step] {
        let head = "HTTP/1.1 \(status) Answer\r\n\(headers)Content-Length: \(body.utf8.count)\r\n\r\n"
        return [.write(head + body), .again]
    }

    private static func raw(_ text: String, then last: Step = .hang) -> [Step] { [.write(text), last] }

    /// All of them. Dates are made when they are asked for.
    static func all() -> [Hostility] { silent + broken + endless + informational + statuses() + controls + unreachable }

    /// In silence: never an answer, or never the rest of it.
    private static let silent: [Hostility] = [
        Hostility("hangs before the headers", .scripted([.hang]), "timeout", nil, .retry),
        Hostility(
            "hangs in the headers", .scripted(raw("HTTP/1.1 200 OK\r\nContent-Ty")), "timeout", 200, .retry),
        Hostility(
            "hangs after the headers", .scripted(raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")), "timeout", 200,
            .retry),
        Hostility(
            "hangs in the body", .scripted(raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")), "timeout", 200,
            .retry),
        Hostility("never reads the request", .scripted([.hang], deaf: true), "timeout", nil, .retry),
        Hostility("hangs in the TLS handshake", .plainUnderTLS([.hang]), "timeout", nil, .retry),
        Hostility(
            "trickles the headers", .scripted([.trickle(Array("HTTP/1.1 200 OK\r\nX-Slow: ".utf8), milliseconds: 20)]),
            "timeout", 200, .retry),
        Hostility(
            "trickles the body",
            .scripted([
                .write("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"),
                .trickle(Array("x".utf8), milliseconds: 20),
            ]), "timeout", 200, .retry),
    ]

    private static let broken: [Hostility] = [
        Hostility("closes without an answer", .scripted([.close]), "reset", nil, .retry),
        Hostility("resets without an answer", .scripted([.reset]), "reset", nil, .retry),
        Hostility(
            "resets in the body",
            .scripted([
                .write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"), .wait(milliseconds: 100), .reset,
            ]), "reset", 200, .retry),
        Hostility(
            "body shorter than its length",
            .scripted(raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", then: .close)), "protocol", 200, .retry),
        Hostility(
            "body longer than its length", .scripted([.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok, more"), .again]),
            nil, 200, .delivered),
        Hostility(
            "length that is no number", .scripted(raw("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n")), "protocol",
            200, .retry),
        Hostility(
            "chunk that is no number",
            .scripted(raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")), "protocol", 200, .retry),
        Hostility("another protocol's greeting", .scripted(raw("SSH-2.0-OpenSSH_9.2\r\n")), "protocol", nil, .retry),
        Hostility("bytes that are not HTTP", .scripted([.write([0, 1, 2, 3, 13, 10, 13, 10]), .close]), "protocol", nil, .retry),
        Hostility(
            "body of NUL bytes and broken UTF-8",
            .scripted([
                .write(Array("HTTP/1.1 500 No\r\nContent-Length: 6\r\n\r\n".utf8) + [0, 0, 0xC3, 0x28, 0xFF, 0]), .again,
            ]), "server_error", 500, .retry),
        Hostility(
            "two answers to one request",
            .scripted([
                .write(
                    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"),
                .again,
            ]), nil, 200, .delivered),
        Hostility(
            "204 with a body",
            .scripted([.write("HTTP/1.1 204 None\r\nContent-Length: 24\r\n\r\nHTTP/1.1 410 Gone\r\n\r\n....."), .again]), nil, 204,
            .delivered),
        Hostility("compressed bomb", .scripted(bomb), nil, 200, .delivered),
        Hostility(
            "compressed transfer coding",
            .scripted(raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")), "protocol", 200,
            .retry),
    ]

    private static let endless: [Hostility] = [
        Hostility(
            "endless body",
            .scripted([.write("HTTP/1.1 200 OK\r\n\r\n"), .flood([UInt8](repeating: 0x61, count: 65_536))]), nil,
            200, .delivered),
        Hostility(
            "endless chunks",
            .scripted([
                .write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
                .flood(Array(("4000\r\n" + String(repeating: "a", count: 16_384) + "\r\n").utf8)),
            ]), nil, 200, .delivered),
        Hostility(
            "endless headers",
            .scripted([.write("HTTP/1.1 200 OK\r\n"), .flood(Array("X-Many: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n".utf8))]),
            "too_large", 200, .retry),
        Hostility(
            "a header line without end",
            .scripted([.write("HTTP/1.1 200 OK\r\nX-One: "), .flood([UInt8](repeating: 0x61, count: 16_384))]),
            "too_large", 200, .retry),
        Hostility(
            "endless trailers",
            .scripted([
                .write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"),
                .flood(Array("X-Many: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n".utf8)),
            ]), "too_large", 200, .retry),
        Hostility(
            "endless 1xx", .scripted([.flood(Array("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".utf8))]), "too_large",
            nil, .retry),
    ]

    private static let informational: [Hostility] = [
        Hostility(
            "100 and 103, then 200",
            .scripted([
                .write("HTTP/1.1 100 Continue\r\n\r\n"), .write("HTTP/1.1 103 Hints\r\nRetry-After: 9\r\n\r\n"),
                .write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), .again,
            ]), nil,
            200, .delivered),
        Hostility("100, then nothing", .scripted(raw("HTTP/1.1 100 Continue\r\n\r\n")), "timeout", nil, .retry),
        Hostility(
            "101 Switching Protocols",
            .scripted(raw("HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")), "protocol",
            nil, .retry),
    ]

    /// Zeros, 10 MiB of them, packed into 10 KiB.
    private static let bomb: [Step] = {
        let packed = GzipBomb.bytes
        return [
            .write("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: \(packed.count)\r\n\r\n"),
            .write(packed), .again,
        ]
    }()

    private static func date(inSeconds seconds: Double) -> String {
        let form = DateFormatter()
        form.locale = Locale(identifier: "en_US_POSIX")
        form.timeZone = TimeZone(identifier: "GMT")
        form.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
        return form.string(from: Date(timeIntervalSinceNow: seconds))
    }

    private static func statuses() -> [Hostility] {
        let plain: [(Int, String, Ending)] = [
            (300, "redirect_refused", .retry), (304, "redirect_refused", .retry), (400, "client_error", .retry),
            (401, "client_error", .retry), (403, "client_error", .retry), (404, "client_error", .retry),
            (405, "client_error", .retry), (422, "client_error", .retry), (407, "proxy", .retry),
            (408, "throttled", .retry), (425, "throttled", .retry), (429, "throttled", .retry),
            (410, "gone", .parkedAndDisabled), (413, "payload_refused", .dead), (415, "payload_refused", .dead),
            (500, "server_error", .retry), (501, "server_error", .retry), (502, "unavailable", .retry),
            (503, "unavailable", .retry), (504, "unavailable", .retry), (999, "protocol", .retry),
        ]
        let inactive = #"{"code":404,"message":"The requested webhook \"POST x\" is not registered."}"#
        var all = plain.map { Hostility("status \($0)", .scripted(answer($0)), $1, $0, $2) }
        all += [301, 302, 303, 307, 308].map {
            Hostility(
                "status \($0) with a location", .scripted(answer($0, "Location: http://127.0.0.1:1/\r\n")),
                "redirect_refused", $0, .retry)
        }
        all.append(
            Hostility(
                "404 of an n8n without the workflow", .scripted(answer(404, body: inactive)), "workflow_inactive", 404,
                .retry))
        let hints: [(String, String, Ending)] = [
            ("in seconds", "200", .later(200...230)), ("with a fraction", "150.5", .later(150...180)),
            ("below the schedule", "1", .retry), ("as a date", date(inSeconds: 380), .later(290...383)),
            ("as a date of the past", date(inSeconds: -300), .retry),
            ("in a far future", "99999999999", .later(86_400...86_430)),
            ("as a date far ahead", "Fri, 31 Dec 9999 23:59:59 GMT", .later(86_400...86_430)),
            ("that cannot be read", "soon", .retry), ("that is negative", "-5", .retry),
        ]
        for (status, failure) in [(429, "throttled"), (503, "unavailable")] {
            all += hints.map { how, value, ending in
                Hostility(
                    "\(status) with Retry-After \(how)", .scripted(answer(status, "Retry-After: \(value)\r\n")), failure,
                    status, ending)
            }
        }
        return all
    }

    private static let controls: [Hostility] = [
        Hostility(
            "200 with webhook-delivery: disable", .scripted(answer(200, "Webhook-Delivery: Disable\r\n")), nil, 200,
            .deliveredAndDisabled),
        Hostility(
            "500 with webhook-delivery: disable", .scripted(answer(500, "webhook-delivery: disable\r\n")),
            "refused_by_receiver", 500, .parkedAndDisabled),
        Hostility(
            "500 with webhook-delivery: abort-message", .scripted(answer(500, "webhook-delivery: abort-message\r\n")),
            "refused_by_receiver", 500, .dead),
        Hostility(
            "200 with webhook-delivery: abort-message", .scripted(answer(200, "webhook-delivery: abort-message\r\n")),
            nil, 200, .delivered),
        Hostility(
            "500 with webhook-delivery: anything else", .scripted(answer(500, "webhook-delivery: please\r\n")),
            "server_error", 500, .retry),
    ]

    private static let unreachable: [Hostility] = [
        Hostility("certificate of the right name and authority", .certificate(.valid), nil, 200, .delivered),
        Hostility("expired certificate", .certificate(.expired), "certificate", nil, .retry),
        Hostility("self-signed certificate", .certificate(.selfSigned), "certificate", nil, .retry),
        Hostility("certificate for another name", .certificate(.wrongName), "certificate", nil, .retry),
        Hostility(
            "no TLS where TLS was asked for",
            .plainUnderTLS(raw("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")), "tls", nil, .instantRetry),
        Hostility("nobody listens", .closedPort, "connect", nil, .instantRetry),
        Hostility("name that does not exist", .url("https://nothing.invalid/hook"), "dns", nil, .instantRetry),
        Hostility("address that is refused", .url("https://10.0.0.1/hook"), "refused_address", nil, .retry),
        Hostility("address of this machine's metadata", .url("https://169.254.169.254/latest"), "refused_address", nil, .retry),
    ]
}

/// A small answer that would be large if anybody unpacked it.
enum GzipBomb {
    /// What `gzip -9` makes of 10,485,760 zeros; empty without the program.
    static let bytes: [UInt8] = {
        var output: [UInt8] = []
        // popen(3) and not Foundation's Process: see TestCluster.
        guard let stream = popen("head -c 10485760 /dev/zero | gzip -9", "re") else { return [] }
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = fread(&buffer, 1, buffer.count, stream)
            guard count > 0 else { break }
            output += buffer[..<count]
        }
        pclose(stream)
        return output
    }()
}
