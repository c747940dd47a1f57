// bird: its event types, and the statements of sql/examples/bird that make them. Driven by PackScenarios.

extension Pack {
    static let bird = Pack(
        name: "bird",
        types: [
            "conversation.started", "conversation.message.received", "conversation.message.sent",
            "conversation.ended", "conversation.escalated", "ai.intent.detected", "ai.action.executed",
            "ai.recommendation.generated",
        ],
        typeKey: "event_type",
        headers: [
            "content-type": ["application/json"], "x-bird-signature-version": ["1.0"],
            "x-bird-webhook-version": ["1.0"],
            "authorization": ["Bearer token-of-bird"],
        ],
        rules: "3|1000|2|30000|0|30000|4xx", firstDelay: 1000, refusalIsFinal: true,
        steps: [
            .row(
                "conversation.started",
                "INSERT INTO bird.conversations (customer_id, channel) VALUES ('cust-1', 'whatsapp ✓')"),
            .row("conversation.message.received", message("received")),
            .row(
                "ai.intent.detected",
                """
                INSERT INTO bird.ai_intents (conversation_id, customer_id, intent, confidence)
                SELECT id, customer_id, 'order_status', 0.9731 FROM bird.conversations
                """),
            .quiet(
                """
                INSERT INTO bird.ai_actions (conversation_id, customer_id, action)
                SELECT id, customer_id, action FROM bird.conversations, unnest('{find_order,refund}'::text[]) AS action
                """),
            .quiet("UPDATE bird.ai_actions SET status = 'failed' WHERE action = 'refund'"),
            .row(
                "ai.action.executed",
                #"UPDATE bird.ai_actions SET status = 'executed', result = '{"order": 17}' WHERE action = 'find_order'"#),
            .row("conversation.message.sent", message("sent")),
            .row(
                "ai.recommendation.generated",
                """
                INSERT INTO bird.ai_recommendations (conversation_id, customer_id, products)
                SELECT id, customer_id, '[{"sku": "A-1", "score": 0.5}]' FROM bird.conversations
                """),
            .row(
                "conversation.escalated",
                "UPDATE bird.conversations SET status = 'escalated', escalation_reason = 'asked for'"),
            .quiet("UPDATE bird.conversations SET escalation_reason = 'asked for twice'"),
            .row("conversation.ended", "UPDATE bird.conversations SET status = 'ended', ended_at = now()"),
        ])

    private static func message(_ direction: String) -> String {
        """
        INSERT INTO bird.messages (conversation_id, customer_id, direction, body)
        SELECT id, customer_id, '\(direction)', 'Cadê meu pedido? 📦' FROM bird.conversations
        """
    }
}
