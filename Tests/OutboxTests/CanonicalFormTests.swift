// The canonical form of profile crm: by example, and by thousands of generated documents that Python verifies.

import TestSupport
import Testing

@testable import Outbox

@Suite struct CanonicalFormTests {
    static let examples: [(String, String)] = [
        ("1000.00", "1000.0"), ("-0", "0"), ("-0.0", "-0.0"), ("0.0", "0.0"), ("1e400", "Infinity"),
        ("-1e400", "-Infinity"), ("1E2", "100.0"), ("1e15", "1000000000000000.0"), ("1e16", "1e+16"),
        ("123456789012345678901234567890", "123456789012345678901234567890"), ("1e-400", "0.0"), ("-1e-400", "-0.0"),
        ("12345678901234567890.0", "1.2345678901234567e+19"), ("0.0001", "0.0001"), ("0.00001", "1e-05"),
        ("1.5e300", "1.5e+300"), ("5e-324", "5e-324"), ("0.1", "0.1"), ("9007199254740993.0", "9007199254740992.0"),
        ("2.5e-7", "2.5e-07"), ("1.7976931348623157e308", "1.7976931348623157e+308"), ("100.25", "100.25"),
        (#"{"b":1,"a":[1,{"d":null,"c":true}]}"#, #"{"a": [1, {"c": true, "d": null}], "b": 1}"#),
        (#"{"a":1,"b":2,"a":3}"#, #"{"a": 3, "b": 2}"#), (#"{"\u0061":1,"a":2}"#, #"{"a": 2}"#),
        (#"{"é":1,"z":2,"😀":3,"":4}"#, #"{"": 4, "z": 2, "\u00e9": 1, "\ud83d\ude00": 3}"#),
        (#"{"\uffff":1,"\ud83d\ude00":2}"#, #"{"\uffff": 1, "\ud83d\ude00": 2}"#),
        (#""\u007f\u0000\/\b\f\n\r\t\"\\""#, #""\u007f\u0000/\b\f\n\r\t\"\\""#),
        (#""\ud800""#, #""\ud800""#), (#""\udc00\ud800""#, #""\udc00\ud800""#), (" [ ] ", "[]"), ("{ }", "{}"),
    ]

    @Test(arguments: examples)
    func textBecomesWhatPythonPrints(_ text: String, _ expected: String) throws {
        #expect(String(decoding: try PythonJSON.canonical(Array(text.utf8)), as: UTF8.self) == expected)
    }

    @Test func generatedDocumentsVerifyInPython() throws {
        var cases: [PythonVerifier.Case] = []
        let destination = try Fixture.destination("crm")
        let secret = Fixture.secretText(for: destination.profile)
        var builder = RequestBuilder()
        for seed in 0..<6000 as Range<UInt64> {
            var random = RandomJSON(seed: seed)
            let event = Fixture.event(random.document())
            let request = try builder.request(
                event: event, destination: destination, deliveryID: Fixture.deliveryID, attempt: 1,
                unixSeconds: Fixture.unixSeconds
            )
            cases.append(PythonVerifier.Case(request, profile: "crm", secret: secret, event: event))
        }
        let verdicts = try PythonVerifier.verify(cases)
        #expect(verdicts.count == 6000)
        for (verdict, item) in zip(verdicts, cases) where verdict != "ok" {
            Issue.record("\(verdict) for \(String(decoding: item.body, as: UTF8.self).prefix(600))")
        }
    }

    @Test(arguments: [#"{"a":[""#, "["])
    func nestingOf10000LevelsIsNoDanger(_ open: String) throws {
        let isMixed = open.hasPrefix("{")
        let levels = isMixed ? 5000 : 10_000
        let payload =
            String(repeating: isMixed ? #"{"b":1,"a":["# : "[", count: levels)
            + "1.50" + String(repeating: isMixed ? "]}" : "]", count: levels)
        let event = Fixture.event(payload)
        let destination = try Fixture.destination("crm")
        let request = try Fixture.request(event, destination)
        let item = PythonVerifier.Case(
            request, profile: "crm", secret: Fixture.secretText(for: destination.profile), event: event
        )
        #expect(try PythonVerifier.verify([item]) == ["ok"])
    }

    /// Each number as it is, and negative.
    @Test func hardNumbersVerifyInPython() throws {
        let destination = try Fixture.destination("crm")
        let secret = Fixture.secretText(for: destination.profile)
        let texts = RandomJSON.hardNumbers + RandomJSON.hardNumbers.filter { !$0.hasPrefix("-") }.map { "-\($0)" }
        let cases = try texts.map { text in
            let event = Fixture.event(text)
            return PythonVerifier.Case(
                try Fixture.request(event, destination), profile: "crm", secret: secret, event: event)
        }
        for (verdict, text) in zip(try PythonVerifier.verify(cases), texts) { #expect(verdict == "ok", "\(text)") }
    }

    @Test func documentOfMegabytesVerifiesInPython() throws {
        let parts = (0..<20_000 as Range<UInt64>).map { seed in
            var random = RandomJSON(seed: seed &* 7919)
            // Each key four times; the last counts.
            return #""\#(seed % 5000 &* 104_729)": "# + random.document()
        }
        let text = "{" + parts.joined(separator: ",") + "}"
        #expect(text.utf8.count > 1_000_000)
        let event = Fixture.event(text)
        let destination = try Fixture.destination("crm")
        let item = PythonVerifier.Case(
            try Fixture.request(event, destination), profile: "crm",
            secret: Fixture.secretText(for: destination.profile), event: event)
        #expect(try PythonVerifier.verify([item]) == ["ok"])
    }

    @Test func aMillionOpenBracketsAreRefusedWithoutACrash() {
        #expect(throws: JSONError.self) {
            try JSONDocument(parsing: Array(repeating: UInt8(ascii: "["), count: 1_000_000))
        }
    }

    static let notJSON = [
        "", " ", "{", "[1,]", "{,}", #"{"a"}"#, #"{"a":}"#, #"{"a":1,}"#, "[1 2]", "01", "-", "1.", ".5", "1e", "+1",
        "0x1",
        "nul", "tru", "trux", "nulL", "falsy", "NaN", "Infinity", "'a'", #""a"#, #""\x""#, #""\u12g4""#, #""\u123"#, "\"\n\"", "1 2", "[1]]",
        "\"\u{1F}\"", "{\"a\":1}}", "[}", "{]", #"{1:2}"#, "\u{FEFF}1", "--1", "1e+", "\"\\",
    ]

    @Test(arguments: notJSON)
    func textsThatAreNotJSONAreRefused(_ text: String) {
        #expect(throws: JSONError.self) { try JSONDocument(parsing: Array(text.utf8)) }
    }

    static let notUTF8: [[UInt8]] = [
        [0xC0, 0x80], [0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xE2, 0x82], [0xF0, 0x9F, 0x98], [0xFF],
        [0xE0, 0x80, 0x80], [0xC3, 0x28], [0xF0, 0x9F, 0x28, 0x80],
    ]

    @Test(arguments: notUTF8)
    func stringsThatAreNotUTF8AreRefused(_ bytes: [UInt8]) {
        #expect(throws: JSONError.self) { try JSONDocument(parsing: [0x22] + bytes + [0x22]) }
    }

    @Test func aPayloadThatIsNotJSONIsARequestErrorForCrmAlone() throws {
        let event = Fixture.event("{broken")
        #expect(throws: RequestError.self) { try Fixture.request(event, Fixture.destination("crm")) }
        #expect(try Fixture.request(event, Fixture.destination("fenix")).text.hasSuffix(#""data":{broken}"#))
    }
}
