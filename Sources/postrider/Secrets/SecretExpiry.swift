// What people are told of secrets whose date is near or past. Used by `doctor`, `endpoints list` and `n8n list`.

internal import FoundationEssentials
internal import Outbox

/// Judges the dates of secrets. A secret signs on after its date, so that nothing goes out unsigned.
enum SecretExpiry {
    /// The findings of `doctor`, one for each date that is near or past, at most ten; else one that all is well.
    ///
    /// - Parameter records: the answer to `SecretExpiryList`, the earliest first.
    static func findings(_ records: [Record], within warning: Duration) -> [Finding] {
        let limit = Double(warning.components.seconds)
        let near = records.filter { ($0.number("left_s") ?? .infinity) < limit }
        guard !near.isEmpty else {
            let text =
                records.isEmpty
                ? "no secret has a date"
                : Plural.text(records.count, "has", "have") + " a date, the next is \(records[0]["expires_at"])"
            return [Finding(.ok, "secret expiry", text)]
        }
        var findings = near.prefix(10).map { record in
            let left = record.number("left_s") ?? 0
            let group = record["kind"] == "n8n" ? "n8n" : "endpoints"
            let cure = "postrider \(group) rotate-secret '\(record["name"])'"
            return left <= 0
                ? Finding(
                    .fail, "secret expiry", "that of \(record["name"]) expired \(span(-left)) ago and signs on", cure)
                : Finding(.warn, "secret expiry", "that of \(record["name"]) expires in \(span(left))", cure)
        }
        if near.count > 10 {
            findings.append(
                Finding(.warn, "secret expiry", "\(near.count - 10) more", "sql/audits/23_expiring_secrets.sql"))
        }
        return findings
    }

    /// Tells below a list which of its secrets should be replaced.
    static func remark(_ records: [Record], within warning: Duration) {
        let near = records.compactMap { record in left(record).map { (name: record["name"], left: $0) } }
            .filter { $0.left < Double(warning.components.seconds) }
        for (name, left) in near.prefix(10) {
            Session.remark(
                left <= 0
                    ? "note: the secret of \(name) expired \(span(-left)) ago and signs on: rotate-secret"
                    : "note: the secret of \(name) expires in \(span(left)): rotate-secret")
        }
        if near.count > 10 { Session.remark("note: so do \(near.count - 10) more") }
    }

    /// Seconds to the date of a listed destination; nil when it has none.
    private static func left(_ record: Record) -> Double? {
        record.date("secret_expires_at")?.timeIntervalSinceNow
    }

    /// A length of time for people: days, or hours below two days.
    private static func span(_ seconds: Double) -> String {
        seconds >= 172_800 ? "\(Int(seconds / 86_400)) days" : "\(Int((seconds / 3600).rounded(.up))) h"
    }
}
