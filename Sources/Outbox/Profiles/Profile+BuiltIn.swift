// The built-in wire formats. What the source systems left open is chosen here and written down in docs/wire.md, which a
// test compares with what is really sent. SQL knows their names and the forms of their secrets too: is_built_in_profile and
// secret_form in 0012_profiles.up.sql, which ProfileGateTests compares with these.

extension Profile {
    /// The built-in profiles by name: `standard` (the default), `companion`, `agentes`, `crm`, `fenix`, `bird`,
    /// `github`, `stripe`, `n8n`, `supabase` and `hasura`.
    public static let builtIn: [String: Profile] = {
        var profiles: [String: Profile] = [:]
        do {
            for profile in try [
                standard(), companion(), agentes(), crm(), fenix(), bird(), github(), stripe(), n8n(),
                bare("supabase", userAgent: "pg_net/postrider"),
                bare("hasura", userAgent: "hasura-graphql-engine/postrider"),
            ] {
                profiles[profile.name] = profile
            }
        } catch {
            preconditionFailure("a built-in profile does not compile: \(error)")
        }
        return profiles
    }()

    /// Standard Webhooks 1.0: several signatures at once, `v1` (HMAC) and `v1a` (Ed25519).
    private static func standard() throws(ProfileError) -> Profile {
        try Profile(
            name: "standard",
            envelope: #"{"type":"{event.type}","timestamp":"{event.created_at}","data":{data}}"#,
            headers: [
                "webhook-id: {event.id}", "webhook-timestamp: {timestamp}", "webhook-signature: {signature}",
            ],
            signature: SignatureRecipe(
                signs: "{event.id}.{timestamp}.{body}", encoding: .base64, prefix: "v1,", ed25519Prefix: "v1a,",
                separator: " "
            ),
            secretForm: .standard
        )
    }

    /// companion: bare hex signature of the body. Header names and the envelope are ours.
    private static func companion() throws(ProfileError) -> Profile {
        try Profile(
            name: "companion",
            envelope:
                #"{"id":"{event.id}","type":"{event.type}","timestamp":"{event.created_at}","data":{data}}"#,
            headers: [
                "X-Webhook-Signature: {signature}", "X-Webhook-Event: {event.type}", "X-Webhook-Id: {event.id}",
            ],
            signature: SignatureRecipe(signs: "{body}")
        )
    }

    /// agentes: signature over timestamp and body. The envelope is ours, in the words of its API.
    private static func agentes() throws(ProfileError) -> Profile {
        try Profile(
            name: "agentes",
            userAgent: "AgentesDeConversao-Webhook/1.0",
            envelope:
                #"{"event_id":"{event.id}","event_type":"{event.type}","timestamp":"{event.created_at}","data":{data}}"#,
            headers: ["X-Webhook-Signature: {signature}", "X-Webhook-Timestamp: {timestamp}"],
            signature: SignatureRecipe(signs: "{timestamp}.{body}", prefix: "sha256=")
        )
    }

    /// crm: the signature covers Python's canonical form of the body.
    private static func crm() throws(ProfileError) -> Profile {
        try Profile(
            name: "crm",
            userAgent: "Claude-MCP-Webhook/1.0",
            envelope: #"{"event_type":"{event.type}","created_at":"{event.created_at}","data":{data}}"#,
            headers: [
                "X-Webhook-ID: {destination.id}", "X-Delivery-ID: {delivery.id}", "X-Event-Type: {event.type}",
                "X-Signature: {signature}",
            ],
            signature: SignatureRecipe(signs: "{body.canonical}")
        )
    }

    /// fenix: signature of the body, event id in the body.
    private static func fenix() throws(ProfileError) -> Profile {
        try Profile(
            name: "fenix",
            userAgent: "Fenix-CRM-Webhooks/1.0",
            envelope:
                #"{"id":"{event.id}","event":"{event.type}","created_at":"{event.created_at}","data":{data}}"#,
            headers: ["X-Fenix-Signature: {signature}"],
            signature: SignatureRecipe(signs: "{body}", prefix: "sha256=")
        )
    }

    /// bird: bare hex signature of the body; the timestamp header is not signed.
    private static func bird() throws(ProfileError) -> Profile {
        try Profile(
            name: "bird",
            envelope: #"{"event_id":"evt_{event.id}","event_type":"{event.type}","#
                + #""timestamp":"{event.created_at}","data":{data}}"#,
            headers: [
                "X-Bird-Signature: {signature}", "X-Bird-Timestamp: {timestamp}", "X-Bird-Signature-Version: 1.0",
                "X-Bird-Webhook-Version: 1.0",
            ],
            signature: SignatureRecipe(signs: "{body}")
        )
    }

    /// GitHub: the payload alone is the body. GitHub's own User-Agent prefix is kept, which its receivers check.
    private static func github() throws(ProfileError) -> Profile {
        try Profile(
            name: "github",
            userAgent: "GitHub-Hookshot/postrider",
            envelope: "{data}",
            headers: [
                "X-GitHub-Event: {event.type}", "X-GitHub-Delivery: {event.id}", "X-Hub-Signature-256: {signature}",
            ],
            signature: SignatureRecipe(signs: "{body}", prefix: "sha256=")
        )
    }

    /// Stripe: an event object around the payload; the key is the secret's text, `whsec_` included.
    private static func stripe() throws(ProfileError) -> Profile {
        try Profile(
            name: "stripe",
            contentType: "application/json; charset=utf-8",
            envelope: #"{"id":"evt_{event.id}","object":"event","type":"{event.type}","#
                + #""created":{event.created_unix},"data":{"object":{data}}}"#,
            headers: ["Stripe-Signature: t={timestamp},{signature}"],
            signature: SignatureRecipe(signs: "{timestamp}.{body}", prefix: "v1=", separator: ","),
            secretForm: .prefixedText
        )
    }

    /// n8n: exactly `application/json`, the only type that its webhook node parses. Signed when there is a secret.
    private static func n8n() throws(ProfileError) -> Profile {
        try Profile(
            name: "n8n",
            envelope:
                #"{"event_id":"{event.id}","event_type":"{event.type}","timestamp":"{event.created_at}","data":{data}}"#,
            headers: [
                "X-Webhook-Id: {event.id}", "X-Webhook-Event: {event.type}", "X-Webhook-Timestamp: {timestamp}",
                "X-Webhook-Signature: {signature}",
            ],
            signature: SignatureRecipe(signs: "{timestamp}.{body}", prefix: "sha256=")
        )
    }

    /// Supabase database webhooks and Hasura event triggers: the payload alone is the body, and the User-Agent keeps the
    /// prefix by which receivers know them. Neither signs; with a secret the headers of Standard Webhooks do.
    private static func bare(_ name: String, userAgent: String) throws(ProfileError) -> Profile {
        let standard = try standard()
        return try Profile(
            name: name, userAgent: userAgent, envelope: "{data}", headers: standard.headers,
            signature: standard.signature, secretForm: standard.secretForm
        )
    }
}
