// What is kept from one load of the destinations to the next must be the same to every receiver.

import Testing

@testable import Outbox

@Suite struct DestinationSamenessTests {
    /// A destination of which tests change a part.
    private struct Parts {
        var id: Int32 = 1
        var uuid = "018f0000-0000-7000-8000-000000000001"
        var kind = Destination.Kind.endpoint
        var name = "caf\u{E9}"
        var url = "https://example.com/a"
        var patterns = ["a.*"]
        var organization: String? = "caf\u{E9}"
        var user: String? = "u"
        var profile = Profile.builtIn["standard"]
        var secrets = ["whsec_c2l4dGVlbiBjaGFyYWN0ZXJz"]
        var headers = [("X-A", "caf\u{E9}")]
        var retry = RetryPolicy.standard
        var timeout = Duration.seconds(30)
        var concurrency = 32
        var isEnabled = true
        var finalStatuses = ""
        var options = DeliveryOptions.none

        func make() throws -> Destination {
            let profile = try #require(profile)
            return try Destination(
                id: id, uuid: uuid, kind: kind, name: name, url: DestinationURL(url), patterns: patterns.map { try EventPattern($0) },
                organization: organization, user: user, profile: profile,
                secrets: secrets.map { try Secret($0, form: profile.secretForm) },
                headers: headers.map { try HeaderField(name: $0.0, value: $0.1) }, retry: retry, timeout: timeout,
                maxConcurrency: concurrency, isEnabled: isEnabled, finalStatuses: FinalStatuses(finalStatuses), options: options)
        }
    }

    private func profile(envelope: String, encoding: SignatureRecipe.Encoding = .hex) throws -> Profile {
        try Profile(
            name: "own", envelope: envelope, headers: ["X-Signature: {signature}"],
            signature: SignatureRecipe(signs: "{timestamp}.{body}", encoding: encoding))
    }

    @Test func equalPartsAreTheSame() throws {
        #expect(try Parts().make().isSame(as: Parts().make()))
        var parts = Parts(secrets: ["secret of own"])
        parts.profile = try profile(envelope: "{data}")
        let first = try parts.make()
        // A catalog is made anew for each load.
        parts.profile = try profile(envelope: "{data}")
        #expect(try first.isSame(as: parts.make()))
    }

    @Test func everyPartCounts() throws {
        let changes: [(String, (inout Parts) throws -> Void)] = [
            ("id", { $0.id = 2 }), ("uuid", { $0.uuid = "018f0000-0000-7000-8000-000000000002" }), ("kind", { $0.kind = .n8n }),
            ("name", { $0.name = "cafe\u{301}" }), ("url", { $0.url = "https://example.com/b" }),
            ("patterns", { $0.patterns = ["a.*", "b"] }), ("organization", { $0.organization = "cafe\u{301}" }),
            ("no organization", { $0.organization = nil }), ("user", { $0.user = "v" }), ("no user", { $0.user = nil }),
            (
                "profile",
                {
                    $0.profile = Profile.builtIn["n8n"]; $0.secrets = []
                }
            ), ("secret", { $0.secrets = ["whsec_c2l4dGVlbiBjaGFyYWN0ZXJ6"] }),
            ("secrets", { $0.secrets += ["whsec_c2l4dGVlbiBjaGFyYWN0ZXJ6"] }), ("no secret", { $0.secrets = [] }),
            ("header's value", { $0.headers = [("X-A", "cafe\u{301}")] }), ("header's name", { $0.headers = [("X-a", "caf\u{E9}")] }),
            ("headers", { $0.headers += [("X-B", "2")] }),
            ("retry", { $0.retry = try RetryPolicy(delays: [.seconds(1)], jitter: 0) }), ("timeout", { $0.timeout = .seconds(5) }),
            ("concurrency", { $0.concurrency = 1 }), ("enabled", { $0.isEnabled = false }), ("statuses", { $0.finalStatuses = "4xx" }),
        ]
        let same = try Parts().make()
        for (part, change) in changes {
            var parts = Parts()
            try change(&parts)
            let other = try parts.make()
            #expect(!same.isSame(as: other) && !other.isSame(as: same), "\(part)")
        }
    }

    @Test func everyPartOfAProfileCounts() throws {
        let same = try profile(envelope: "{data}")
        #expect(!same.isSame(as: try profile(envelope: "[{data}]")))
        #expect(!same.isSame(as: try profile(envelope: "{data}", encoding: .base64)))
        let signature = SignatureRecipe(signs: "{timestamp}.{body}")
        let headers = ["X-Signature: {signature}"]
        let others = [
            try Profile(name: "other", envelope: "{data}", headers: headers, signature: signature),
            try Profile(name: "own", purpose: "p", envelope: "{data}", headers: headers, signature: signature),
            try Profile(name: "own", contentType: "text/json", envelope: "{data}", headers: headers, signature: signature),
            try Profile(name: "own", userAgent: "A/1", envelope: "{data}", headers: headers, signature: signature),
            try Profile(name: "own", envelope: "{data}", headers: headers + ["X-B: 2"], signature: signature),
            try Profile(name: "own", envelope: "{data}", headers: headers, signature: SignatureRecipe(signs: "{body}")),
            try Profile(name: "own", envelope: "{data}", headers: headers, signature: signature, secretForm: .standard),
            try Profile(name: "own", envelope: "{data}"),
        ]
        for (index, other) in others.enumerated() { #expect(!same.isSame(as: other), "\(index)") }
    }

    /// Their parts are compared by nobody.
    @Test func optionsAreNeverTheSame() throws {
        var parts = Parts()
        parts.options = try DeliveryOptions(parsing: Array(#"{"priority": "high"}"#.utf8))
        let some = try parts.make()
        #expect(try !some.isSame(as: parts.make()) && !some.isSame(as: Parts().make()) && !Parts().make().isSame(as: some))
    }
}
