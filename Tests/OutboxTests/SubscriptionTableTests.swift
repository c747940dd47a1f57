// Routing: which destinations get an event, compared with the plain definition and at the size of 100,000.

import TestSupport
import Testing

@testable import Outbox

@Suite struct SubscriptionTableTests {
    @Test func patternsOrganizationsAndUsersDecide() throws {
        let table = SubscriptionTable([
            try Fixture.destination(patterns: ["message.sent"]),
            try Fixture.destination(patterns: ["message.*"]),
            try Fixture.destination(patterns: ["*"]),
            try Fixture.destination(patterns: ["message.sent", "message.*", "*"]),
            try Fixture.destination(patterns: ["*"], organization: "acme"),
            try Fixture.destination(patterns: ["message.*"], user: "ana"),
            try Fixture.destination(patterns: ["*"], organization: "acme", user: "ana"),
            try Fixture.destination(patterns: []),
        ])
        func match(_ type: String, _ organization: String? = nil, _ user: String? = nil) -> [Int] {
            table.matches(type: type, organization: organization, user: user)
        }
        #expect(match("message.sent") == [0, 1, 2, 3])
        #expect(match("message.sent.again") == [1, 2, 3])
        #expect(match("message") == [2, 3])
        #expect(match("messages.sent") == [2, 3])
        #expect(match("message.sent", "acme") == [0, 1, 2, 3, 4])
        #expect(match("message.sent", "other") == [0, 1, 2, 3])
        #expect(match("message.sent", nil, "ana") == [0, 1, 2, 3, 5])
        #expect(match("message.sent", "acme", "ana") == [0, 1, 2, 3, 4, 5, 6])
        #expect(match("user.created", "acme", "bob") == [2, 3, 4])
        #expect(table.dependsOnUser)
    }

    /// A `String` would take them for one organization, and Postgres does not.
    @Test func namesThatAreOnlyWrittenAlikeAreNotTheSame() throws {
        let names = ["caf\u{E9}", "cafe\u{301}", "a\u{323}\u{307}", "a\u{307}\u{323}"]
        #expect(names[0] == names[1] && names[2] == names[3])
        let table = SubscriptionTable(
            try names.map { try Fixture.destination(patterns: ["*"], organization: $0) }
                + names.map { try Fixture.destination(patterns: ["*"], user: $0) })
        for (index, name) in names.enumerated() {
            #expect(table.matches(type: "a.b", organization: name, user: nil) == [index])
            #expect(table.matches(type: "a.b", organization: nil, user: name) == [names.count + index])
        }
    }

    @Test func disabledDestinationsArePartOfTheAnswer() throws {
        let profile = try Fixture.profile("standard")
        let disabled = try Destination(
            id: 1, uuid: "u", name: "n", url: DestinationURL("https://example.org"), patterns: [EventPattern("*")],
            profile: profile, isEnabled: false
        )
        let table = SubscriptionTable([disabled])
        #expect(table.matches(type: "a", organization: nil, user: nil) == [0])
        #expect(!table.dependsOnUser)
    }

    @Test func anEmptyTableMatchesNothing() {
        #expect(SubscriptionTable([]).matches(type: "a.b", organization: "o", user: "u").isEmpty)
    }

    @Test func theIndexAgreesWithTheDefinition() throws {
        var generator = SeededGenerator(seed: 42)
        let segments = ["a", "b", "c"]
        func type() -> String {
            (0...Int.random(in: 0...3, using: &generator)).map { _ in segments.randomElement(using: &generator) ?? "a" }
                .joined(separator: ".")
        }
        func pattern() -> String {
            switch Int.random(in: 0..<8, using: &generator) {
            case 0: "*"
            case 1...3: type() + ".*"
            default: type()
            }
        }
        func owner() -> String? { [nil, nil, "x", "y"].randomElement(using: &generator) ?? nil }
        let destinations = try (0..<400).map { index in
            try Fixture.destination(
                id: Int32(index), patterns: (0..<Int.random(in: 0...5, using: &generator)).map { _ in pattern() },
                organization: owner(), user: owner()
            )
        }
        let table = SubscriptionTable(destinations)
        for _ in 0..<1000 {
            let (type, organization, user) = (type(), owner(), owner())
            let expected = destinations.indices.filter { index in
                let destination = destinations[index]
                return destination.patterns.contains { $0.matches(type) }
                    && (destination.organization == nil || destination.organization == organization)
                    && (destination.user == nil || destination.user == user)
            }
            #expect(table.matches(type: type, organization: organization, user: user) == expected)
        }
    }

    @Test func aQuestionToAHundredThousandDestinationsCostsItsAnswersOnly() throws {
        let destinations = try (0..<100_000 as Range<Int32>).map { index in
            try Fixture.destination(
                id: index, patterns: ["type\(index % 1000).*", "other.\(index % 7)"], organization: "org\(index / 10)",
                secrets: []
            )
        }
        let clock = ContinuousClock()
        var table = SubscriptionTable([])
        let building = clock.measure { table = SubscriptionTable(destinations) }
        var total = 0
        let asking = clock.measure {
            for index in 0..<10_000 {
                let answer = table.matches(type: "type\(index * 10 % 1000).x", organization: "org\(index)", user: nil)
                total += answer.count
            }
        }
        #expect(total == 10_000)
        // Unoptimized; the release figures are in the benchmark. A scan would take minutes.
        #expect(building < .seconds(60))
        #expect(asking < .seconds(20))
    }

    static let refused: [(String, EventTypeError)] = [
        ("", .empty), (".*", .empty), ("a..b", .emptySegment(in: "a..b")), (".a", .emptySegment(in: ".a")),
        ("a.", .emptySegment(in: "a.")), ("a b", .character(" ", in: "a b")), ("*.a", .misplacedStar(in: "*.a")),
        ("a*", .misplacedStar(in: "a*")), ("a.*.b", .misplacedStar(in: "a.*.b")), ("**", .misplacedStar(in: "**")),
        ("a.*.*", .misplacedStar(in: "a.*.*")), ("a\n", .character("\n", in: "a\n")), ("é", .character("é", in: "é")),
        (String(repeating: "a", count: 129), .tooLong(length: 129)),
    ]

    @Test(arguments: refused)
    func patternsOutsideTheRulesAreRefused(_ text: String, _ error: EventTypeError) {
        #expect(throws: error) { try EventPattern(text) }
    }

    @Test(arguments: ["a", "user.created", "A-1_b.c", "conversation.message.added", String(repeating: "x", count: 128)])
    func typesWithinTheRulesAreAccepted(_ type: String) throws {
        try EventType.validate(type)
        #expect(try EventPattern(type).matches(type))
    }

    @Test func anErrorShowsNoControlCharacter() {
        let text = EventTypeError.character("\u{1B}", in: "a\u{1B}[31m\r\n").description
        #expect(text.unicodeScalars.allSatisfy { $0.value >= 0x20 })
        #expect(text.contains("U+1B"))
    }
}
