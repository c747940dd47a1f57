// From what the database tells about itself to findings. Pure; used by `postrider doctor`.

internal import FoundationEssentials
internal import Outbox
internal import OutboxWorker

/// The answer to the question `Diagnosis`, judged.
struct Diagnosis {
    let record: Record
    let settings: Settings
    /// Now, on this machine's clock, in seconds since 1970.
    var now = Date().timeIntervalSince1970

    /// Everything that was looked at, in the order of the road of an event.
    func findings() -> [Finding] {
        [
            server(), clock(), rights(), roles(), producing(), partitions(), retention(), queue(), deadLetters(),
            replays(), order(), workers(),
            snapshots(), plainHTTP(), testURLs(),
        ] + references() + attachments() + privacy()
    }

    private func server() -> Finding {
        record.isTrue("in_recovery")
            ? Finding(.fail, "server", "is a standby, nothing can be claimed", "DATABASE_URL with the primary")
            : Finding(.ok, "server", "Postgres \(record["server_version"])")
    }

    private func clock() -> Finding {
        let skew = abs(now - (record.number("now_s") ?? now))
        let text = "\(skew.tenths) s apart from the database's"
        return skew > 60
            ? Finding(.warn, "clock", text + ": receivers may refuse signatures", "synchronise this machine's clock")
            : Finding(.ok, "clock", text)
    }

    /// Whoever works needs far less than the owner of the schema has.
    private func rights() -> Finding {
        let role = record.record("role")
        let cure = "log in as a member of postrider_worker, postrider_admin or postrider_auditor"
        if role.isTrue("superuser") {
            return Finding(.warn, "rights", "\(role["name"]) is a superuser: nothing binds it", cure)
        }
        if role.isTrue("bypasses") {
            return Finding(.warn, "rights", "\(role["name"]) passes by row-level security", cure)
        }
        if role.isTrue("owner") {
            return Finding(.warn, "rights", "\(role["name"]) owns the schema: right for migrations only", cure)
        }
        return Finding(.ok, "rights", "\(role["name"]) is a member of \(role["member_of"])")
    }

    private func roles() -> Finding {
        let setup = record["role_setup"]
        return setup.isEmpty
            ? Finding(.ok, "roles", "all are there")
            : Finding(.warn, "roles", "some are missing on this server", setup)
    }

    private func producing() -> Finding {
        record.isTrue("enqueue_enabled")
            ? Finding(.ok, "enqueue trigger", "enabled")
            : Finding(
                .fail, "enqueue trigger", "events are written and never queued",
                "ALTER TABLE postrider.webhook_event_log ENABLE TRIGGER webhook_enqueue")
    }

    private func partitions() -> Finding {
        let weeks = Int(record.number("weeks_ahead") ?? 0)
        return weeks < 2
            ? Finding(
                .warn, "partitions", "made \(Plural.text(weeks, "week")) ahead",
                "run a worker, or SELECT postrider.ensure_partitions()")
            : Finding(.ok, "partitions", "made \(Plural.text(weeks, "week")) ahead")
    }

    /// What is to go must go: an age that nobody enforces is a promise broken in silence.
    private func retention() -> Finding {
        let retention = record.record("retention")
        let ages = ["events", "attempts", "payloads"].filter { !retention[$0].isEmpty }
        guard !ages.isEmpty else { return Finding(.ok, "retention", "everything is kept for ever") }
        let text = ages.map { "\($0) for \(retention[$0])" }.joined(separator: ", ")
        let cure = "start a worker, or run postrider maintain"
        guard let age = retention.number("upkeep_age_s") else {
            return Finding(.warn, "retention", text + "; no upkeep yet", cure)
        }
        return age > 600
            ? Finding(.warn, "retention", text + "; the last upkeep was \(Int(age)) s ago", cure)
            : Finding(.ok, "retention", text)
    }

    private func queue() -> Finding {
        let oldest = record.number("oldest_waiting_s") ?? 0
        let waiting = record.record("queue")["waiting"]
        let text = "\(waiting) waiting, the oldest for \(Int(oldest)) s"
        guard oldest > 60 else { return Finding(.ok, "queue", text) }
        return record.number("workers_alive") ?? 0 == 0
            ? Finding(.fail, "queue", text + ", and no worker runs", "postrider worker")
            : Finding(.warn, "queue", text, "start more workers")
    }

    /// A dead letter at the head of a key holds back everything behind it until somebody decides.
    private func order() -> Finding {
        let blocked = Int(record.number("blocked_keys") ?? 0)
        return blocked == 0
            ? Finding(.ok, "ordering keys", "none is blocked")
            : Finding(
                .warn, "ordering keys", Plural.text(blocked, "is", "are") + " blocked by a dead letter",
                "postrider order list --blocked")
    }

    private func deadLetters() -> Finding {
        let count = record.record("queue")["dead_letters"]
        let critical = Int(record.record("queue").number("critical_dead_letters") ?? 0)
        return critical > 0
            ? Finding(
                .warn, "dead letters", "\(count), \(critical) of them critical",
                "postrider dead-letters --critical --since 365d")
            : Finding(.ok, "dead letters", "\(count), none of them critical")
    }

    private func replays() -> Finding {
        let left = Int(record.number("replays_left") ?? 0)
        return left > 0
            ? Finding(
                .warn, "replays", Plural.text(left, "runs and nobody drives it", "run and nobody drives them"),
                "postrider replay list, and replay resume")
            : Finding(.ok, "replays", "none is left half-way")
    }

    private func workers() -> Finding {
        let alive = Int(record.number("workers_alive") ?? 0)
        let silent = Int(record.number("workers_silent") ?? 0)
        if silent > 0 {
            return Finding(.warn, "workers", "\(alive) alive, \(silent) silent", "start a worker: it takes over")
        }
        return alive == 0
            ? Finding(.warn, "workers", "none runs", "postrider worker") : Finding(.ok, "workers", "\(alive) alive")
    }

    private func snapshots() -> Finding {
        let oldest = record.record("oldest_transaction")
        let age = Int(oldest.number("age_s") ?? 0)
        let prepared = Int(record.number("prepared_transactions") ?? 0)
        let slots = Int(record.number("inactive_slots") ?? 0)
        if age > 300 {
            return Finding(
                .warn, "snapshots", "a transaction has been open for \(age) s: vacuum cannot clean the queue",
                "SELECT pg_terminate_backend(\(oldest["pid"]))")
        }
        if prepared + slots > 0 {
            return Finding(
                .warn, "snapshots",
                "vacuum is held back by \(Plural.text(prepared, "prepared transaction")), "
                    + Plural.text(slots, "unused replication slot"),
                "sql/audits/14_xmin_holders.sql")
        }
        return record.isTrue("sees_sessions")
            ? Finding(.ok, "snapshots", "the oldest is \(age) s old")
            : Finding(
                .ok, "snapshots", "of its own the oldest is \(age) s old; pg_read_all_stats shows those of other logins"
            )
    }

    private func plainHTTP() -> Finding {
        let count = Int(record.number("plain_http") ?? 0)
        guard count > 0, !settings.worker.allowsHTTP else {
            return Finding(.ok, "plain http", Plural.text(count, "destination"))
        }
        return Finding(
            .warn, "plain http",
            Plural.text(count, "active destination has an http URL", "active destinations have http URLs")
                + ": refused",
            "POSTRIDER_ALLOW_HTTP=true, or https URLs")
    }

    private func testURLs() -> Finding {
        let names = record["test_urls"]
        return names.isEmpty
            ? Finding(.ok, "n8n", "no test URLs")
            : Finding(
                .warn, "n8n", "test URLs, which answer one call after a click in the editor: \(names)",
                "postrider n8n update NAME --url …/webhook/…")
    }

    /// The operator's own destinations may use more than those of organizations and users, which have another cure.
    private func references() -> [Finding] {
        let unset = record.records("unset").filter {
            settings.worker.grants.value(of: $0["name"], for: scope(of: $0)) == nil
        }
        guard !unset.isEmpty else { return [Finding(.ok, "settings", "all that options name are there")] }
        return missing(
            unset.filter { scope(of: $0).isOperators },
            "postrider settings set NAME, or POSTRIDER_EXPOSE for every worker")
            + missing(
                unset.filter { !scope(of: $0).isOperators },
                "postrider settings set NAME with --organization or --shared, "
                    + "or NAME:shared in POSTRIDER_EXPOSE for every worker")
    }

    private func missing(_ references: [Record], _ cure: String) -> [Finding] {
        if references.isEmpty { return [] }
        let text = "options name what is no setting for them: \(names(of: references))"
        return [Finding(.warn, "settings", text, cure)]
    }

    /// Whose destination names a setting; of which user does not matter.
    private func scope(of reference: Record) -> SettingScope {
        SettingScope(
            organization: reference.value("organization_id")?.string, user: reference.isTrue("of_user") ? "" : nil)
    }

    /// Names of settings, and of whom they are missed; ten at most.
    private func names(of references: [Record]) -> String {
        let names = Set(
            references.map { reference in
                let scope = scope(of: reference)
                if scope.isOperators { return reference["name"] }
                return reference["name"] + (scope.organization.map { " of organization \($0)" } ?? " of users")
            }
        ).sorted()
        return names.prefix(10).joined(separator: ", ") + (names.count > 10 ? " and \(names.count - 10) more" : "")
    }

    /// What was promised about persons and is not kept yet; nothing when nothing was promised.
    private func privacy() -> [Finding] {
        let promises = record.record("privacy")
        var findings: [Finding] = []
        if let age = promises.number("erasure_age_s") {
            let text = "\(promises["erasures"]) not finished, the oldest for \(Int(age)) s"
            findings.append(
                age > 3600
                    ? Finding(
                        .warn, "erasures", text,
                        "start a worker, or run postrider maintain; docs/privacy.md says what it may wait for")
                    : Finding(.ok, "erasures", text))
        }
        if let lag = promises.number("sealing_lag_s") {
            findings.append(
                lag > 600
                    ? Finding(
                        .warn, "sealed types", "payloads of the last \(Int(lag)) s stand readable",
                        "start a worker with POSTRIDER_SECRET_KEYS")
                    : Finding(.ok, "sealed types", "sealed to \(Int(lag)) s ago"))
        }
        return findings + payloadKeys()
    }

    /// A worker without the key leaves a sealed payload to others, and without any of them it waits.
    private func payloadKeys() -> [Finding] {
        let needed = record.records("payload_keys")
        guard !needed.isEmpty else { return [] }
        guard let ring = settings.worker.secretKeys else {
            let names = needed.map { "'\($0["name"])'" }.joined(separator: ", ")
            return [Finding(.ok, "payload keys", "workers need \(names); there are no keys here to compare")]
        }
        let missing = needed.filter { !ring.contains($0["name"]) }
        return missing.isEmpty
            ? [Finding(.ok, "payload keys", "all that payloads are sealed with are here")]
            : missing.map {
                Finding(
                    .warn, "payload keys",
                    Plural.text(Int($0.number("payloads") ?? 0), "payload is", "payloads are")
                        + " sealed with key '\($0["name"])', which is not among the keys here",
                    "POSTRIDER_SECRET_KEYS with that key, here and for every worker, while sealed-types keys names it")
            }
    }

    private func attachments() -> [Finding] {
        let faults = record.records("faults")
        if faults.isEmpty { return [Finding(.ok, "attachments", "\(record["attachments"]), all with their triggers")] }
        return faults.map {
            Finding(.fail, "attachment \($0["name"]) of \($0["table_name"])", $0["problem"], $0["cure"])
        }
    }
}
