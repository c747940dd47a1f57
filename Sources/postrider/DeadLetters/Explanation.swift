// A dead letter in words for people. Pure; used by `postrider dead-letters explain`.

internal import Outbox

/// Why a delivery was given up and what to do about it.
struct Explanation {
    /// What the request `DeadLetterShow` gave.
    let letter: Record

    /// The answer for people, a line for each thing.
    func lines() -> [String] {
        let event = "\(letter["event_id"]), \(letter["event_type"]) of \(letter["created_at"])"
        let organization = letter["organization_id"].isEmpty ? "" : ", organization \(letter["organization_id"])"
        return [
            "delivery: \(letter["id"])",
            "event: \(event)\(organization)",
            "endpoint: \(letter["endpoint"])",
            "dead since: \(letter["dead_at"]), after \(attempts)\(replays)",
        ] + (letter.isTrue("is_critical") ? ["critical: yes, \(reason)"] : [])
            + (letter["archived_at"].isEmpty ? [] : ["archived: since \(letter["archived_at"])"]) + [
                "what happened: \(letter["failure"]): \(meaning)",
                "what to do: \(advice)",
                "the endpoint now: \(endpointNow)",
                "send it again: \(command)",
            ]
    }

    /// The answer for machines: the request's, with the sentences.
    var json: String {
        letter.replacing("meaning", with: meaning).replacing("advice", with: advice)
            .replacing("endpoint_now", with: endpointNow).text
    }

    private var failure: FailureClass? { FailureClass(rawValue: letter["failure"]) }

    private var meaning: String { failure?.meaning ?? "This program knows no such failure class." }

    private var advice: String { failure?.advice ?? "Read the message of the last attempt." }

    private var attempts: String { Plural.text(Int(letter.number("attempts") ?? 0), "attempt") }

    private var replays: String {
        let count = Int(letter.number("replays") ?? 0)
        return count == 0 ? "" : "; sent again \(Plural.text(count, "time")) in vain"
    }

    private var reason: String {
        letter.number("priority") == 0 ? "the event has high priority" : "its endpoint or somebody marked it"
    }

    private var command: String {
        if letter.isTrue("is_deleted") { return "not possible, its endpoint is deleted" }
        if letter.isTrue("is_foreign") { return "not possible, its endpoint is of another organization or user now" }
        return letter.isTrue("has_payload")
            ? "postrider replay --delivery \(letter["id"])" : "not possible, retention removed the payload"
    }

    /// Whether a replay would get anywhere.
    private var endpointNow: String {
        if letter.isTrue("is_deleted") {
            return letter["archived_at"].isEmpty ? "is deleted: archive the dead letter" : "is deleted"
        }
        if !letter.isTrue("is_active") {
            return "is inactive (\(letter["inactive_reason"])): what is sent to it waits until it is enabled"
        }
        if !letter["failing_since"].isEmpty {
            return "fails since \(letter["failing_since"]) (\(letter["failing_with"]))\(lately)"
        }
        return "nothing is known to be wrong\(lately)"
    }

    /// Counted are the attempts of events that were made within the hour, not those within it: they have an index.
    private var lately: String {
        let (delivered, failed) = (letter.number("delivered_lately") ?? 0, letter.number("failed_lately") ?? 0)
        if delivered + failed == 0 { return "; of events of the last hour nothing was sent to it" }
        return "; of events of the last hour \(Plural.text(Int(delivered), "attempt")) delivered, \(Int(failed)) failed"
    }
}
