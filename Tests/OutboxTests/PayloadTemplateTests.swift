// Templates: what of a payload goes out, by example and against a plain evaluation of the same rules.

import TestSupport
import Testing

@testable import Outbox

@Suite struct PayloadTemplateTests {
    private func apply(_ template: String, _ payload: String) throws -> String {
        let template = try PayloadTemplate(parsing: Array(template.utf8))
        return String(decoding: try template.apply(to: ParsedPayload(parsing: Array(payload.utf8))), as: UTF8.self)
    }

    static let examples: [(String, String, String)] = [
        (
            #"{"include": ["id", "customer.name"], "omit": ["customer.cpf"], "rename": {"customer.name": "name"}, "set": {"source": "crm"}}"#,
            #"{"id": 17, "total": 10.50, "customer": {"cpf": "1", "name": "Ana"}}"#,
            #"{"id": 17, "customer": {}, "name": "Ana", "source": "crm"}"#
        ),
        // Numbers, escapes and spaces of what stays are those of the payload.
        (#"{"omit": ["x"]}"#, #"{"n": 1000.00, "s": "a\u0041\n\"", "x": 1, "l": [ 1,2 ]}"#, #"{"n": 1000.00, "s": "aA\n\"", "l": [ 1,2 ]}"#),
        (#"{"omit": ["x"]}"#, #"{"\u0061\"": "\ud800"}"#, #"{"a\"": "\ud800"}"#),
        // A name that is only written alike is another one.
        (#"{"omit": ["\u00e9"]}"#, #"{"\u00e9": 1, "e\u0301": 2, "x": 3}"#, #"{"e\#u{301}": 2, "x": 3}"#),
        // Arrays stand for their elements, those of arrays within them too.
        (#"{"omit": ["items.cost"]}"#, #"{"items": [{"cost": 1, "sku": "a"}, 5, [{"cost": 2}]]}"#, #"{"items": [{"sku": "a"}, 5, [{}]]}"#),
        (#"{"include": ["items.sku"]}"#, #"{"items": [{"cost": 1, "sku": "a"}, 5], "x": 1}"#, #"{"items": [{"sku": "a"}]}"#),
        (#"{"omit": ["a"]}"#, #"[{"a": 1, "b": 2}, 3]"#, #"[{"b": 2}, 3]"#),
        (#"{"set": {"items.source": "crm"}}"#, #"{"items": [{"a": 1}, 2]}"#, #"{"items": [{"a": 1, "source": "crm"}, 2]}"#),
        // A path that is included includes what is below it; of one that leads nowhere nothing stays.
        (#"{"include": ["a", "a.b", "x.y"]}"#, #"{"a": {"b": 1, "c": 2}, "x": 3}"#, #"{"a": {"b": 1, "c": 2}}"#),
        (#"{"include": ["/a.b"]}"#, #"{"a.b": 1, "a": {"b": 2}}"#, #"{"a.b": 1}"#),
        // Renames: within the object that both paths share, whole values, over what is there.
        (#"{"rename": {"a": "b"}}"#, #"{"a": {"x": [1]}, "b": 2, "c": 3}"#, #"{"b": {"x": [1]}, "c": 3}"#),
        (#"{"rename": {"a": "b.c.d"}}"#, #"{"a": 1}"#, #"{"b": {"c": {"d": 1}}}"#),
        (#"{"rename": {"a": "a.b"}}"#, #"{"a": 1}"#, #"{"a": {"b": 1}}"#),
        (#"{"rename": {"a.b": "a"}}"#, #"{"a": {"b": 1, "c": 2}}"#, #"{"a": 1}"#),
        (
            #"{"rename": {"items.sku": "items.code", "items.price.value": "items.amount"}}"#,
            #"{"items": [{"sku": "a", "price": {"value": 1, "unit": "x"}}, {"sku": "b"}]}"#,
            #"{"items": [{"price": {"unit": "x"}, "amount": 1, "code": "a"}, {"code": "b"}]}"#
        ),
        // An array after what the paths share is not entered.
        (#"{"rename": {"items.sku": "sku"}}"#, #"{"items": [{"sku": "a"}]}"#, #"{"items": [{"sku": "a"}]}"#),
        (#"{"rename": {"a": "items.code"}}"#, #"{"a": 1, "items": [{"sku": 2}]}"#, #"{"a": 1, "items": [{"sku": 2}]}"#),
        (#"{"rename": {"a": "b.c.d"}}"#, #"{"a": 1, "b": {"c": []}}"#, #"{"a": 1, "b": {"c": []}}"#),
        (#"{"rename": {"a": "b.c"}}"#, #"{"a": 1, "b": {"c": [2]}}"#, #"{"b": {"c": 1}}"#),
        (#"{"rename": {"missing": "b", "x": "y"}}"#, #"{"b": 1}"#, #"{"b": 1}"#),
        // Constants: any value, over what is there; what is in the way becomes an object.
        (
            #"{"set": {"a.b": {"y": [1, null], "x": "é\""}, "c": 1.50}}"#, #"{"a": "text", "c": 0}"#,
            #"{"a": {"b": {"x": "é\"", "y": [1, null]}}, "c": 1.50}"#
        ),
        (#"{"set": {"a.b": 1}}"#, #"{"a": null}"#, #"{"a": {"b": 1}}"#), (#"{"set": {"v": 2}}"#, "[]", "[]"),
    ]

    @Test(arguments: examples) func payloadBecomes(_ template: String, _ payload: String, _ expected: String) throws {
        #expect(try apply(template, payload) == expected)
    }

    static let faulty: [(String, String)] = [
        ("[]", "expected an object"), ("{}", "a transform needs include, omit, rename or set"),
        (#"{"keep": []}"#, #"unknown key "keep"; known are include, omit, rename, set"#),
        (#"{"include": "a"}"#, "include: expected a list of paths"), (#"{"omit": []}"#, "omit: expected a list of paths"),
        (#"{"omit": [1]}"#, "omit: expected a string"),
        (#"{"include": ["a."]}"#, #"include: the path "a." has an empty name; a name that holds a dot is written /a.b"#),
        (#"{"rename": {}}"#, "rename: expected an object of old and new paths"),
        (#"{"rename": {"a": 1}}"#, "rename: expected a string"), (#"{"rename": {"a": "/a"}}"#, "rename: a path is renamed to itself"),
        (#"{"rename": {"a": "b", "b": "a"}}"#, "rename: two renames touch the same path"),
        (#"{"rename": {"a.x": "b", "a": "c"}}"#, "rename: two renames touch the same path"),
        (#"{"set": {"a": 1, "a.b": 2}}"#, "set: two paths lead to the same place"),
        (#"{"set": {"x": {"e\u0301": 1, "\u00e9": 2}}}"#, #"two members have names that look alike: "é""#),
    ]

    @Test(arguments: faulty) func faultIsToldWithItsPlace(_ template: String, _ message: String) {
        let error = #expect(throws: OptionError.self) { try PayloadTemplate(parsing: Array(template.utf8)) }
        #expect(error?.reason == message)
    }

    @Test(arguments: ["5", "\"text\"", "null"]) func scalarIsRefused(_ payload: String) {
        #expect(throws: PayloadError("a transform needs a payload that is an object or a list")) {
            try apply(#"{"omit": ["a"]}"#, payload)
        }
    }

    /// What is not looked through is refused: an omitted field must not slip out because it is deep.
    @Test func depthOnAPathIsBounded() throws {
        let nested = { String(repeating: "[", count: $0) + #"{"a": 1}"# + String(repeating: "]", count: $0) }
        #expect(try apply(#"{"omit": ["a"]}"#, nested(100)) == nested(100).replacing(#""a": 1"#, with: ""))
        #expect(throws: PayloadError("the payload is nested too deeply for a transform")) {
            try apply(#"{"omit": ["a"]}"#, nested(100_000))
        }
        // Beside every path depth costs nothing.
        let beside = "{\"x\": \(nested(100_000))}"
        #expect(try apply(#"{"omit": ["a"]}"#, beside) == beside)
    }

    @Test func randomPayloadsStayJSONAndKeepWhatNoPathTouches() throws {
        let templates = [
            #"{"include": ["a", "b.a", "é"]}"#, #"{"omit": ["a", "b.a", "é.b"]}"#, #"{"set": {"a.b": 1}}"#,
            #"{"include": ["a.b", "b"], "omit": ["b.a"], "set": {"é": [1.50]}}"#,
        ]
        var count = 0
        for seed in 0..<3000 as Range<UInt64> {
            var random = RandomJSON(seed: seed)
            let payload = random.document()
            let tree = try JSONValue(parsing: Array(payload.utf8))
            switch tree {
            case .object, .array: break
            default: continue
            }
            for template in templates {
                let found = try JSONValue(parsing: Array(try apply(template, payload).utf8))
                let expected = PlainTemplate.apply(try JSONValue(parsing: Array(template.utf8)), tree)
                #expect(found == expected, "\(template) on \(payload)")
                count += 1
            }
        }
        #expect(count > 2000)
    }
}

/// The rules of docs/options.md over a tree, but for renames.
private enum PlainTemplate {
    static func apply(_ template: JSONValue, _ payload: JSONValue) -> JSONValue {
        guard case .object(let steps) = template else { return payload }
        var result = payload
        if case .array(let paths) = steps["include"] { result = keep(paths.map(names), result) ?? .null }
        if case .array(let paths) = steps["omit"] { for path in paths { result = omit(names(path)[...], result) } }
        if case .object(let constants) = steps["set"] {
            for (path, value) in constants { result = put(value, names(.string(path))[...], result) }
        }
        return result
    }

    private static func names(_ path: JSONValue) -> [String] {
        guard case .string(let text) = path else { return [] }
        return text.split(separator: ".").map(String.init)
    }

    /// Nil for a value of which nothing stays.
    private static func keep(_ paths: [[String]], _ value: JSONValue) -> JSONValue? {
        if paths.contains([]) { return value }
        switch value {
        case .object(let members):
            var kept: [String: JSONValue] = [:]
            for (name, value) in members {
                let rest = paths.filter { $0.first == name }.map { Array($0.dropFirst()) }
                if !rest.isEmpty { kept[name] = keep(rest, value) }
            }
            return .object(kept)
        case .array(let elements): return .array(elements.compactMap { keep(paths, $0) })
        default: return nil
        }
    }

    private static func omit(_ path: ArraySlice<String>, _ value: JSONValue) -> JSONValue {
        switch value {
        case .object(var members):
            guard let name = path.first, let inner = members[name] else { return value }
            members[name] = path.count == 1 ? nil : omit(path.dropFirst(), inner)
            return .object(members)
        case .array(let elements): return .array(elements.map { omit(path, $0) })
        default: return value
        }
    }

    private static func put(_ new: JSONValue, _ path: ArraySlice<String>, _ value: JSONValue) -> JSONValue {
        guard let name = path.first else { return new }
        switch value {
        case .object(var members):
            members[name] = put(new, path.dropFirst(), members[name] ?? .object([:]))
            return .object(members)
        case .array(let elements):
            return .array(
                elements.map { element in
                    switch element {
                    case .object, .array: put(new, path, element)
                    default: element
                    }
                })
        default: return put(new, path, .object([:]))
        }
    }
}
