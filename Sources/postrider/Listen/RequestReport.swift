// One request of `postrider listen` as a line: for people, or as JSON.

internal import FoundationEssentials
internal import Glibc

/// What is told of a request.
struct RequestReport: Sendable {
    let receivedAt: Date
    let request: ReceivedRequest
    let inspection: Inspection
    let status: Int

    /// How many characters of a body people see.
    static let excerpt = 160
    /// How many characters of a body JSON lines hold.
    static let longExcerpt = 4096

    /// A line for people: time, answer, signature, type, id, body.
    var line: String {
        var parts = [Self.clock(receivedAt), String(status), signature]
        parts.append(inspection.batch?.text ?? inspection.eventType ?? "\(request.method) \(request.target)")
        if let id = inspection.eventID { parts.append(id) }
        let body = String(decoding: request.body.prefix(Self.excerpt * 4), as: UTF8.self)
        if !body.isEmpty { parts.append(body.count > Self.excerpt ? body.prefix(Self.excerpt - 1) + "…" : body) }
        return Self.printable(parts.joined(separator: "  "))
    }

    /// A JSON object in one line.
    ///
    /// - Parameter withHeaders: whether all headers are in it, those with credentials too.
    func json(withHeaders: Bool) -> String {
        var line = JSONLine()
        line.add("time", receivedAt.formatted(Self.iso))
        line.add("method", request.method)
        line.add("path", request.target)
        line.add("profile", inspection.profile)
        line.add("event_type", inspection.eventType)
        line.add("event_id", inspection.eventID)
        if let batch = inspection.batch {
            line.add("events", batch.events)
            line.add("event_types", batch.ranked.map { (name: $0.name, value: $0.count) })
        }
        line.add("signature", inspection.signature.word)
        line.add("reason", inspection.signature.reason)
        line.add("status_code", status)
        line.add("body_bytes", request.body.count)
        line.add("body", String(String(decoding: request.body, as: UTF8.self).prefix(Self.longExcerpt)))
        if withHeaders { line.add("headers", request.headers) }
        return line.text
    }

    private var signature: String {
        switch inspection.signature {
        case .ok: "signature ok"
        case .bad(let reason): "signature BAD (\(reason))"
        case .none: "not signed"
        case .unchecked: "signature not checked"
        }
    }

    /// A text in one line; a terminal must not be steered by what a stranger sends.
    private static func printable(_ text: String) -> String {
        let scalars = text.unicodeScalars.map { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) ? " " : $0 }
        return String(String.UnicodeScalarView(scalars))
    }

    private static let iso = Date.ISO8601FormatStyle(includingFractionalSeconds: true)

    /// Local time with milliseconds: `09:05:01.007`.
    private static func clock(_ date: Date) -> String {
        let milliseconds = Int((date.timeIntervalSince1970 * 1000).rounded(.down))
        var seconds = time_t(milliseconds / 1000)
        var local = tm()
        localtime_r(&seconds, &local)
        let parts = [(local.tm_hour, 2), (local.tm_min, 2), (local.tm_sec, 2), (Int32(milliseconds % 1000), 3)]
        let texts = parts.map { number, width in
            String(repeating: "0", count: width - "\(number)".count) + "\(number)"
        }
        return texts[..<3].joined(separator: ":") + "." + texts[3]
    }
}
