// Filters of payloads: what passes, what is refused and how it is told, and thousands of random ones against a plain
// evaluation of the same rules.

import TestSupport
import Testing

@testable import Outbox

@Suite struct PayloadFilterTests {
    private func passes(_ filter: String, _ payload: String) throws -> Bool {
        try PayloadFilter(parsing: Array(filter.utf8)).matches(ParsedPayload(parsing: Array(payload.utf8)))
    }

    static let passing: [(String, String)] = [
        // The form of companion: a key and the values that pass.
        (#"{"companionId": ["comp-123"]}"#, #"{"companionId": "comp-123", "x": 1}"#),
        (#"{"companionId": ["a", "b"]}"#, #"{"companionId": "b"}"#),
        (#"{"a": ["x"], "b": [1]}"#, #"{"b": 1, "a": "x"}"#),
        // Paths, names with dots, reserved names.
        (#"{"customer.address.country": ["BR"]}"#, #"{"customer": {"address": {"country": "BR"}}}"#),
        (#"{"/a.b": [1]}"#, #"{"a.b": 1}"#), (#"{"/any": [1]}"#, #"{"any": 1}"#), (#"{"/": [1]}"#, #"{"": 1}"#),
        (#"{"/a~1b/~0": [1]}"#, #"{"a/b": {"~": 1}}"#), (#"{"é": ["ü"]}"#, #"{"\u00e9": "\u00fc"}"#),
        // Numbers by their worth, exactly.
        (#"{"n": [1]}"#, #"{"n": 1.0}"#), (#"{"n": [1e2]}"#, #"{"n": 100}"#), (#"{"n": [0]}"#, #"{"n": -0.0}"#),
        (#"{"n": {"lt": 9007199254740993}}"#, #"{"n": 9007199254740992}"#),
        (#"{"n": {"gt": -2, "lt": -1.5}}"#, #"{"n": -1.75}"#), (#"{"n": {"gte": 1e-7}}"#, #"{"n": 0.0000001}"#),
        (#"{"n": {"lt": 1e300}}"#, #"{"n": 999999999999999999999999999999}"#),
        // Other kinds.
        (#"{"v": [null, true]}"#, #"{"v": null}"#), (#"{"v": [null, true]}"#, #"{"v": true}"#),
        (#"{"d": {"gte": "2026-01-01", "lt": "2026-02-01"}}"#, #"{"d": "2026-01-31T23:59"}"#),
        (#"{"s": {"prefix": "pre"}}"#, #"{"s": "prefix"}"#), (#"{"s": {"prefix": ""}}"#, #"{"s": ""}"#),
        // Absence and difference.
        (#"{"x": {"exists": true}}"#, #"{"x": null}"#), (#"{"x": {"exists": true}}"#, #"{"x": []}"#),
        (#"{"x.y": {"exists": false}}"#, #"{"x": 1}"#), (#"{"x": {"ne": 1}}"#, #"{"x": "1"}"#),
        (#"{"x": {"ne": 1}}"#, #"{"x": []}"#), (#"{"x": {"ne": 1, "gt": 5}}"#, #"{"x": 6}"#),
        // Arrays stand for their elements.
        (#"{"tags": ["vip"]}"#, #"{"tags": ["new", "vip"]}"#),
        (#"{"items.sku": ["b"]}"#, #"{"items": [{"sku": "a"}, {"sku": "b"}]}"#),
        (#"{"m": [4]}"#, #"{"m": [[1, 2], [[3], 4]]}"#), (#"{"a.b": [1]}"#, #"{"a": [[{"b": 1}]]}"#),
        (#"{"a": [1]}"#, #"[{"a": 2}, {"a": 1}]"#), (#"{"p": {"gt": 1, "lt": 3}}"#, #"{"p": [0, 2, 9]}"#),
        // Groups.
        (#"{"any": [{"a": [1]}, {"b": [2]}]}"#, #"{"b": 2}"#), (#"{"all": [{"a": [1]}, {"b": [2]}]}"#, #"{"a": 1, "b": 2}"#),
        (#"{"none": [{"a": [1]}, {"b": [2]}]}"#, #"{}"#),
        (#"{"c": [3], "any": [{"all": [{"a": [1]}]}, {"none": [{"c": [3]}]}]}"#, #"{"a": 1, "c": 3}"#),
        // Of a repeated name the last member counts; one that is only written like it is another.
        (#"{"a": [2]}"#, #"{"a": 1, "a": 2}"#), (#"{"\u00e9": [1]}"#, #"{"\u00e9": 1, "e\u0301": 2}"#),
        (#"{"e\u0301": [2]}"#, #"{"\u00e9": 1, "e\u0301": 2}"#),
    ]

    @Test(arguments: passing) func payloadPasses(_ filter: String, _ payload: String) throws {
        #expect(try passes(filter, payload))
    }

    @Test(arguments: [(32, true), (33, false)]) func pathsHave32NamesAtMost(count: Int, isAllowed: Bool) throws {
        let filter = #"{"\#(Array(repeating: "a", count: count).joined(separator: "."))": [1]}"#
        let payload = String(repeating: #"{"a":"#, count: count) + "1" + String(repeating: "}", count: count)
        if isAllowed {
            #expect(try passes(filter, payload))
        } else {
            #expect(throws: OptionError.self) { try passes(filter, payload) }
        }
    }

    static let failing: [(String, String, String)] = [
        (#"{"companionId": ["comp-123"]}"#, #"{"companionId": "comp-9"}"#, #""companionId""#),
        (#"{"companionId": ["comp-123"]}"#, #"{}"#, #""companionId""#),
        (#"{"n": ["1"]}"#, #"{"n": 1}"#, #""n""#), (#"{"n": [1]}"#, #"{"n": "1"}"#, #""n""#),
        (#"{"n": [9007199254740993]}"#, #"{"n": 9007199254740992}"#, #""n""#),
        (#"{"n": [0.1]}"#, #"{"n": 0.1000000000000000000001}"#, #""n""#),
        (#"{"n": {"gt": 1}}"#, #"{"n": "2"}"#, #""n""#), (#"{"n": {"gt": 1}}"#, #"{"n": 1.0}"#, #""n""#),
        (#"{"s": {"prefix": "pre"}}"#, #"{"s": "pr"}"#, #""s""#), (#"{"x": {"exists": true}}"#, "{}", #""x""#),
        (#"{"x": {"exists": false}}"#, #"{"x": null}"#, #""x""#), (#"{"x": {"ne": 1}}"#, "{}", #""x""#),
        (#"{"x": {"ne": 1}}"#, #"{"x": [2, 1.0]}"#, #""x""#), (#"{"x": [null]}"#, "{}", #""x""#),
        (#"{"a.b": [1]}"#, #"{"a.b": 1}"#, #""a.b""#), (#"{"/a.b": [1]}"#, #"{"a": {"b": 1}}"#, #""/a.b""#),
        // One and the same element has to pass all tests.
        (#"{"p": {"gt": 1, "lt": 3}}"#, #"{"p": [0, 9]}"#, #""p""#), (#"{"a": ["x"]}"#, #""x""#, #""a""#),
        (#"{"a": [1], "b": [2]}"#, #"{"a": 1, "b": 3}"#, #""b""#), (#"{"x": {"eq": 1}}"#, #"{"x": {"y": 1}}"#, #""x""#),
        (#"{"any": [{"a": [1]}, {"b": [2]}]}"#, #"{"a": 2, "b": 1}"#, "any"),
        (#"{"all": [{"a": [1]}, {"b": [2]}]}"#, #"{"a": 1}"#, #"all[1]: "b""#),
        (#"{"none": [{"a": [1]}]}"#, #"{"a": 1}"#, "none"),
    ]

    @Test(arguments: failing) func payloadFailsAtAPlace(_ filter: String, _ payload: String, _ place: String) throws {
        #expect(try !passes(filter, payload))
        let fault = try PayloadFilter(parsing: Array(filter.utf8)).fault(of: ParsedPayload(parsing: Array(payload.utf8)))
        #expect(fault == place)
    }

    static let faulty: [(String, String)] = [
        ("[]", #"expected an object, such as {"status": ["paid"]}"#), ("{}", "a filter needs a condition"),
        (#"{"a": 1}"#, #""a": expected a list of the values that pass, or operators such as {"gte": 10}"#),
        (#"{"a": []}"#, #""a": an empty list lets nothing pass"#),
        (#"{"a": [[1]]}"#, #""a": expected a string, a number, true, false or null"#),
        (#"{"a": {}}"#, #""a": expected an operator, such as {"gte": 10}"#),
        (#"{"a": {"like": "x"}}"#, #""a": like: there is no such operator; there are eq, ne, gt, gte, lt, lte, prefix and exists"#),
        (#"{"a": {"gt": true}}"#, #""a": gt: expected a number or a string"#),
        (#"{"a": {"prefix": 1}}"#, #""a": prefix: expected a string"#),
        (#"{"a": {"exists": 1}}"#, #""a": exists: expected true or false"#),
        (#"{"a": {"exists": false, "eq": 1}}"#, #""a": exists: false leaves nothing for other operators"#),
        (#"{"a..b": [1]}"#, #""a..b": the path "a..b" has an empty name; a name that holds a dot is written /a.b"#),
        (#"{"/a~2": [1]}"#, #""/a~2": in the path "/a~2" ~ must be written as ~0"#),
        (#"{"any": {"a": [1]}}"#, "any: expected a list of filters; a payload's key of that name is written /…"),
        (#"{"none": []}"#, "none: expected a list of filters; a payload's key of that name is written /…"),
        (
            #"{"any": [{"x": [1]}, {"all": [{"b": 2}]}]}"#,
            #"any[1]: all[0]: "b": expected a list of the values that pass, or operators such as {"gte": 10}"#
        ),
        (#"{"e\u0301": [1], "\u00e9": [2]}"#, #"two members have names that look alike: "é""#),
        (#"{"any": [{}]}"#, "any[0]: a filter needs a condition"), (#"{"a": [1}"#, "not JSON at byte 8: expected ',' or the end of the array"),
    ]

    @Test(arguments: faulty) func faultIsToldWithItsPlace(_ filter: String, _ message: String) {
        let error = #expect(throws: OptionError.self) { try PayloadFilter(parsing: Array(filter.utf8)) }
        #expect(error?.reason == message)
    }

    @Test func sizeIsBounded() throws {
        let most = (1...256).map { "\"k\($0)\": [1]" }.joined(separator: ", ")
        _ = try PayloadFilter(parsing: Array("{\(most)}".utf8))
        // Those in groups count too.
        #expect(throws: OptionError.self) { try PayloadFilter(parsing: Array("{\(most), \"any\": [{\"x\": [1]}]}".utf8)) }
        let many = (0...256).map { "\"k\($0)\": [1]" }.joined(separator: ", ")
        let error = #expect(throws: OptionError.self) { try PayloadFilter(parsing: Array("{\(many)}".utf8)) }
        #expect(error?.reason == "more than 256 conditions")
        let long = (0...32).map { "k\($0)" }.joined(separator: ".")
        #expect(throws: OptionError.self) { try PayloadFilter(parsing: Array("{\"\(long)\": [1]}".utf8)) }
    }

    /// Recursion follows the filter and not the payload.
    @Test func deepPayloadIsNoDanger() throws {
        let deep = String(repeating: "[", count: 100_000) + #"{"a": 1}"# + String(repeating: "]", count: 100_000)
        #expect(try passes(#"{"a": [1]}"#, deep))
    }

    @Test func equalFiltersAreEqual() throws {
        let filter = #"{"a": [1, "x"], "any": [{"b": {"gt": 2}}]}"#
        let one = try PayloadFilter(parsing: Array(filter.utf8))
        #expect(try one == PayloadFilter(parsing: Array(#"{"any": [{"b": {"gt": 2.0}}], "a": ["x", 1]}"#.utf8)))
        #expect(try one != PayloadFilter(parsing: Array(#"{"a": [1, "x"]}"#.utf8)))
    }

    @Test func numbersAreInOrder() {
        let ascending = [
            "-1e1000000000", "-10", "-9.99", "-0.1", "-1e-9", "0", "1e-99999999999999999999", "1e-30", "0.09", "0.1", "1", "1.0000000000000000001",
            "9.99", "10", "123456789012345678901234567890", "1e31", "1e99999999999999999999",
        ].map { JSONNumber($0.utf8) }
        for (index, number) in ascending.enumerated() {
            for (other, larger) in ascending.enumerated() {
                #expect((number < larger) == (index < other))
                #expect((number == larger) == (index == other))
            }
        }
        #expect(JSONNumber("1200e-2".utf8) == JSONNumber("12.000".utf8))
        #expect(Set(["0", "-0.00", "0e5", "0e99999999999999999999"].map { JSONNumber($0.utf8) }).count == 1)
    }

    @Test func randomFiltersDoWhatAPlainEvaluationDoes() throws {
        var counts = [true: 0, false: 0]
        for seed in 0..<4000 as Range<UInt64> {
            var random = RandomFilter(seed: seed)
            let (payload, filter) = (random.payload(), random.filter())
            let found = try passes(filter, payload)
            let expected = PlainFilter.passes(
                try JSONValue(parsing: Array(filter.utf8)), try JSONValue(parsing: Array(payload.utf8)))
            #expect(found == expected, "\(filter) on \(payload)")
            counts[found, default: 0] += 1
        }
        // Otherwise it would compare little.
        #expect(counts.values.allSatisfy { $0 > 400 }, "\(counts)")
    }
}

/// Small payloads and filters that meet often.
private struct RandomFilter {
    private var generator: SeededGenerator

    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    private mutating func pick(_ count: Int) -> Int { Int.random(in: 0..<count, using: &generator) }

    private mutating func scalar() -> String {
        [
            "1", "1.0", "10e-1", "2", "-3.5", "0", "-0", "\"1\"", "\"a\"", "\"ab\"", "\"\\u0061b\"", "\"b\"", "true",
            "false", "null",
        ][pick(15)]
    }

    mutating func payload() -> String { object(3) }

    private mutating func object(_ depth: Int) -> String {
        let names = ["a", "b", "c"].filter { _ in pick(4) > 0 }
        var members: [String] = []
        for name in names { members.append("\"\(name)\": \(value(depth - 1))") }
        return "{\(members.joined(separator: ", "))}"
    }

    private mutating func value(_ depth: Int) -> String {
        switch depth > 0 ? pick(6) : 0 {
        case 0, 1, 2: return scalar()
        case 3, 4: return object(depth)
        default:
            var elements: [String] = []
            for _ in 0..<pick(4) { elements.append(value(depth - 1)) }
            return "[\(elements.joined(separator: ", "))]"
        }
    }

    mutating func filter(_ depth: Int = 2) -> String {
        var members: [String] = []
        for _ in 0...pick(2) {
            if depth > 0, pick(3) == 0 {
                var filters: [String] = []
                for _ in 0...pick(2) { filters.append(filter(depth - 1)) }
                members.append("\"\(["any", "all", "none"][pick(3)])\": [\(filters.joined(separator: ", "))]")
            } else {
                var path = ["a", "b", "c"][pick(3)]
                for _ in 0..<pick(3) { path += "." + ["a", "b", "c"][pick(3)] }
                members.append("\"\(path)\": \(condition())")
            }
        }
        return "{\(members.joined(separator: ", "))}"
    }

    private mutating func condition() -> String {
        switch pick(4) {
        case 0, 1:
            var values: [String] = []
            for _ in 0...pick(4) { values.append(scalar()) }
            return "[\(values.joined(separator: ", "))]"
        case 2: return "{\"exists\": \(["true", "false"][pick(2)])}"
        default:
            let all = [
                "\"eq\": \(scalar())", "\"ne\": \(scalar())", "\"gt\": 0", "\"gte\": 1.0", "\"lt\": 1", "\"lte\": \"ab\"",
                "\"gt\": \"a\"", "\"prefix\": \"a\"", "\"exists\": true",
            ]
            var members: [String] = []
            for _ in 0...pick(2) { members.append(all[pick(all.count)]) }
            return "{\(members.joined(separator: ", "))}"
        }
    }
}

/// The rules of docs/options.md over a tree, as plainly as they can be written.
private enum PlainFilter {
    static func passes(_ filter: JSONValue, _ payload: JSONValue) -> Bool {
        guard case .object(let members) = filter else { return false }
        return members.allSatisfy { name, value in
            guard case .array(let list) = value, ["any", "all", "none"].contains(name) else {
                return holds(value, ends(name.split(separator: ".").map(String.init), payload))
            }
            let hits = list.filter { passes($0, payload) }.count
            return name == "any" ? hits > 0 : name == "all" ? hits == list.count : hits == 0
        }
    }

    private static func elements(_ value: JSONValue) -> [JSONValue] {
        guard case .array(let values) = value else { return [value] }
        return values.flatMap(elements)
    }

    private static func ends(_ path: [String], _ value: JSONValue) -> [JSONValue] {
        guard let name = path.first else { return [value] }
        return elements(value).flatMap { element -> [JSONValue] in
            guard case .object(let members) = element, let next = members[name] else { return [] }
            return ends(Array(path.dropFirst()), next)
        }
    }

    private static func holds(_ condition: JSONValue, _ ends: [JSONValue]) -> Bool {
        let values = ends.flatMap(elements)
        switch condition {
        case .array(let list): return values.contains { value in list.contains { isEqual($0, value) } }
        case .object(let operators):
            if case .bool(let wanted) = operators["exists"], wanted == ends.isEmpty { return false }
            if operators["exists"] == .bool(false) { return true }
            guard !ends.isEmpty else { return false }
            if let other = operators["ne"], values.contains(where: { isEqual($0, other) }) { return false }
            let tests = operators.filter { $0.key != "ne" && $0.key != "exists" }
            return tests.isEmpty || values.contains { value in tests.allSatisfy { passes(value, $0.key, $0.value) } }
        default: return false
        }
    }

    private static func isEqual(_ left: JSONValue, _ right: JSONValue) -> Bool {
        if case .number(let one, _) = left, case .number(let other, _) = right { return one == other }
        return left == right
    }

    private static func passes(_ value: JSONValue, _ name: String, _ limit: JSONValue) -> Bool {
        switch (value, limit) {
        case (.number(let one, _), .number(let other, _)): return compare(one, name, other)
        case (.string(let one), .string(let other)):
            if name == "prefix" { return one.hasPrefix(other) }
            return compare(one, name, other)
        default: return name == "eq" && value == limit
        }
    }

    private static func compare<Value: Comparable>(_ one: Value, _ name: String, _ other: Value) -> Bool {
        switch name {
        case "eq": one == other
        case "gt": one > other
        case "gte": one >= other
        case "lt": one < other
        case "lte": one <= other
        default: false
        }
    }
}
