// What requests look like, byte by byte, and what the builder remembers between them.

import TestSupport
import Testing

@testable import Outbox

@Suite struct RequestBuilderTests {
    @Test(arguments: 0..<20)
    func everyByteOfAValueIsLookedAt(position: Int) {
        for byte in UInt8.min...UInt8.max {
            var value = [UInt8](repeating: UInt8(ascii: "a"), count: 20)
            value[position] = byte
            #expect(HeaderField.areValueBytes(value) == HeaderField.isValueByte(byte), "\(byte) at \(position)")
        }
        let tabs = [UInt8](repeating: 9, count: position)
        #expect(HeaderField.areValueBytes(tabs))
        #expect(!HeaderField.areValueBytes(tabs + [0x7f]))
    }

    @Test func standardRequestIsExact() throws {
        let request = try Fixture.request(Fixture.event(), Fixture.destination())
        #expect(
            request.text
                == #"{"type":"user.created","timestamp":"2025-12-31T23:59:59.123Z","data":{"id": 1, "name": "Ana"}}"#
        )
        #expect(
            request.headers.dropLast() == [
                "Content-Type: application/json", "User-Agent: Postrider/1.0 (webhooks)",
                "webhook-id: 018f6b1e-2a3c-7d4e-8f50-61728394a5b6", "webhook-timestamp: 1767225600",
            ]
        )
        #expect(request.headers.last?.hasPrefix("webhook-signature: v1,") == true)
    }

    static let bodies: [(String, String)] = [
        ("companion", #"{"id":"ID","type":"user.created","timestamp":"AT","data":[1.00]}"#),
        ("agentes", #"{"event_id":"ID","event_type":"user.created","timestamp":"AT","data":[1.00]}"#),
        ("crm", #"{"event_type":"user.created","created_at":"AT","data":[1.00]}"#),
        ("fenix", #"{"id":"ID","event":"user.created","created_at":"AT","data":[1.00]}"#),
        ("bird", #"{"event_id":"evt_ID","event_type":"user.created","timestamp":"AT","data":[1.00]}"#),
        ("github", "[1.00]"),
        (
            "stripe",
            #"{"id":"evt_ID","object":"event","type":"user.created","created":1767225599,"data":{"object":[1.00]}}"#
        ),
        ("n8n", #"{"event_id":"ID","event_type":"user.created","timestamp":"AT","data":[1.00]}"#),
        ("supabase", "[1.00]"),
        ("hasura", "[1.00]"),
    ]

    @Test(arguments: bodies)
    func bodiesCarryThePayloadAsItCame(_ profile: String, _ expected: String) throws {
        let body = try Fixture.request(Fixture.event("[1.00]"), Fixture.destination(profile)).text
        let plain = body.replacing(Fixture.eventID.description, with: "ID")
        #expect(plain.replacing("2025-12-31T23:59:59.123Z", with: "AT") == expected)
    }

    @Test(arguments: Profile.builtIn.keys.sorted())
    func aRetryRepeatsEverythingButTimestampAndSignature(_ name: String) throws {
        var builder = RequestBuilder()
        let (event, destination) = (Fixture.event(), try Fixture.destination(name))
        func request(_ attempt: Int, _ unixSeconds: Int64) throws -> PreparedRequest {
            try builder.request(
                event: event, destination: destination, deliveryID: "d", attempt: attempt, unixSeconds: unixSeconds
            )
        }
        let first = try request(1, 1_767_225_600)
        let second = try request(2, 1_767_225_630)
        #expect(first.body == second.body)
        #expect(first.headers.count == second.headers.count)
        let changed = zip(first.headers, second.headers).filter { $0 != $1 }.map { $0.0.lowercased() }
        #expect(changed.allSatisfy { $0.contains("timestamp") || $0.contains("signature") })
        #expect(try request(3, 1_767_225_600) == first)
    }

    @Test(arguments: Profile.builtIn.keys.sorted())
    func withoutASecretNoSignatureIsSent(_ name: String) throws {
        let request = try Fixture.request(Fixture.event(), Fixture.destination(name, secrets: []))
        #expect(!request.headers.isEmpty)
        for header in request.headers where !header.hasPrefix("X-Bird-Signature-Version") {
            #expect(!header.lowercased().contains("signature"))
        }
    }

    @Test func rememberedPartsNeverLeakIntoOtherRequests() throws {
        var remembering = RequestBuilder(preparedCapacity: 3)
        var generator = SeededGenerator(seed: 3)
        let destinations = try Profile.builtIn.keys.sorted().flatMap { name in
            [try Fixture.destination(name, id: 1), try Fixture.destination(name, id: 1, secrets: [])]
        }
        let events = [
            Fixture.event("1"), Fixture.event("2"), Fixture.event("2", type: "a.b"),
            Fixture.event("2", organization: "o"),
        ]
        for _ in 0..<500 {
            let event = try #require(events.randomElement(using: &generator))
            let destination = try #require(destinations.randomElement(using: &generator))
            let second = Fixture.unixSeconds + Int64.random(in: 0...2, using: &generator)
            var fresh = RequestBuilder()
            let expected = try fresh.request(
                event: event, destination: destination, deliveryID: "d", attempt: 1, unixSeconds: second
            )
            let actual = try remembering.request(
                event: event, destination: destination, deliveryID: "d", attempt: 1, unixSeconds: second
            )
            #expect(actual == expected)
        }
    }

    @Test func aReloadedDestinationIsSignedWithItsNewSecret() throws {
        var builder = RequestBuilder()
        func signature(_ secret: String) throws -> String? {
            let destination = try Fixture.destination("fenix", secrets: [Secret(secret, form: .text)])
            return try builder.request(
                event: Fixture.event(), destination: destination, deliveryID: "d", attempt: 1, unixSeconds: 0
            ).value(of: "X-Fenix-Signature")
        }
        let (old, new) = (try signature("old"), try signature("new"))
        #expect(old != new)
        #expect(try signature("old") == old)
    }

    @Test(arguments: ["a\r\nX-Evil: 1", "a\nb", "a\0b", "a\u{7F}", "\u{1B}[31m"])
    func valuesThatWouldBreakAHeaderAreRefusedWhenSending(_ hostile: String) throws {
        let event = Fixture.event(type: hostile)
        #expect(throws: RequestError.headerValue(header: "X-Event-Type")) {
            try Fixture.request(event, Fixture.destination("crm"))
        }
        // Where the type stands in the body alone, it is escaped.
        let body = try Fixture.request(event, Fixture.destination("fenix")).body
        let document = try JSONDocument(parsing: body)
        #expect(String(decoding: document.content(of: document.nodes[4]), as: UTF8.self) == hostile)
    }

    @Test func customHeadersFollowThoseOfTheProfile() throws {
        let headers = [
            try HeaderField(name: "Authorization", value: "Bearer t"), try HeaderField(name: "X-A", value: ""),
        ]
        let request = try Fixture.request(Fixture.event(), Fixture.destination("fenix", headers: headers))
        #expect(request.value(of: "Authorization") == "Bearer t")
        #expect(request.value(of: "X-A")?.isEmpty == true)
    }

    @Test func noBuiltInUserAgentOfOursLooksLikeABotToN8n() throws {
        // The patterns of package isbot that bare names with versions match.
        let name = /^[\w .\-(?:):%]+(?:\/v?\d+(?:\.\d+)?(?:\.\d{1,10})*?)?(?:,|$)/
        let slash = /^\w+\/[\w()]*$/
        let words = /bots?(?:\b|_)|http|crawl|spider|^client\/|^dispatch\/|tools|url|server|node|library/
        let agent = try Fixture.profile("n8n").userAgent
        #expect(agent.firstMatch(of: name) == nil)
        #expect(agent.firstMatch(of: slash) == nil)
        #expect(agent.lowercased().firstMatch(of: words) == nil)
        #expect("Postrider/1.0".firstMatch(of: name) != nil)
    }
}
