// companion: its event types, and the statements of sql/examples/companion that make them. Driven by PackScenarios.

extension Pack {
    static let companion = Pack(
        name: "companion",
        types: [
            "companion.created", "companion.updated", "companion.deleted", "companion.activated",
            "companion.deactivated", "message.sent", "message.received", "chat.started", "chat.ended",
            "stream.started", "stream.chunk", "error.occurred", "quota.warning", "quota.exceeded",
            "performance.degraded",
        ],
        typeKey: "type",
        headers: ["content-type": ["application/json"]],
        rules: "6|30000|2|3600000|0.1|30000|", firstDelay: 30_000,
        steps: [
            .row(
                "companion.created",
                #"INSERT INTO companion.companions ("companionId", "userId", name) VALUES ('comp-123', 'user-9', 'Lia ✓')"#,
                without: ["systemPrompt", "lastSeenAt"]),
            .row(
                "companion.updated", "UPDATE companion.companions SET \"systemPrompt\" = 'Be brief.', persona = 'calm'",
                without: ["systemPrompt", "lastSeenAt"]),
            .row(
                "companion.activated", "UPDATE companion.companions SET \"isActive\" = true",
                without: ["systemPrompt", "lastSeenAt"]),
            .quiet("UPDATE companion.companions SET \"lastSeenAt\" = now(), \"isActive\" = true"),
            .row(
                "chat.started",
                #"INSERT INTO companion.chats ("companionId", "userId") VALUES ('comp-123', 'user-9')"#),
            .row("message.received", message("received")),
            .row(
                "stream.started",
                #"INSERT INTO companion.streams ("chatId", "companionId", "userId") SELECT "chatId", "companionId", "userId" FROM companion.chats"#
            ),
            .call(
                "stream.chunk", "SELECT companion.stream_chunk(s, 1, 'Tudo ') FROM companion.streams AS s",
                records: """
                    SELECT jsonb_build_object('streamId', "streamId", 'chatId', "chatId", 'companionId', 'comp-123',
                                              'sequence', 1, 'content', 'Tudo ')::text
                    FROM companion.streams
                    """),
            .row("message.sent", message("sent")),
            .row("chat.ended", "UPDATE companion.chats SET \"endedAt\" = now()"),
            .quiet("UPDATE companion.chats SET \"endedAt\" = now()"),
            .quiet("INSERT INTO companion.quotas VALUES ('comp-123', 'user-9', '2026-01-01', 79, 100)"),
            .row("quota.warning", "UPDATE companion.quotas SET used = 80"),
            .quiet("UPDATE companion.quotas SET used = 100"),
            .row("quota.exceeded", "UPDATE companion.quotas SET used = 101"),
            .quiet("UPDATE companion.quotas SET used = 102"),
            .quiet("UPDATE companion.quotas SET used = 90"),
            .quiet(#"INSERT INTO companion.performance ("companionId", "userId", "p95Ms") VALUES ('comp-123', 'user-9', 100)"#),
            .row("performance.degraded", "UPDATE companion.performance SET \"p95Ms\" = 101"),
            .quiet("UPDATE companion.performance SET \"p95Ms\" = 500"),
            .row(
                "error.occurred",
                #"INSERT INTO companion.errors ("companionId", "userId", code, message) VALUES ('comp-123', 'user-9', 'model', 'down')"#,
                without: ["stackTrace"]),
            .row(
                "companion.deactivated", "UPDATE companion.companions SET \"isActive\" = false",
                without: ["systemPrompt", "lastSeenAt"]),
            .row("companion.deleted", "DELETE FROM companion.companions", only: ["companionId", "userId", "name"]),
        ])

    private static func message(_ direction: String) -> String {
        """
        INSERT INTO companion.messages ("chatId", "companionId", "userId", direction, content)
        SELECT "chatId", "companionId", "userId", '\(direction)', 'Olá 🌙' FROM companion.chats
        """
    }
}
