// Event ids: text, bytes, order, and the time within.

import TestSupport
import Testing

@testable import Outbox

@Suite struct EventIDTests {
    @Test func textAndBytesAgree() throws {
        let text = "018f6b1e-2a3c-7d4e-8f50-61728394a5b6"
        let id = try #require(EventID(text))
        #expect(id.description == text)
        #expect(id == Fixture.eventID)
        #expect(EventID(text.uppercased()) == id)
        let bytes: [UInt8] = [
            0x01, 0x8F, 0x6B, 0x1E, 0x2A, 0x3C, 0x7D, 0x4E, 0x8F, 0x50, 0x61, 0x72, 0x83, 0x94, 0xA5, 0xB6,
        ]
        #expect(bytes.withUnsafeBytes { EventID(bytes: $0) } == id)
        #expect(bytes.dropLast().withUnsafeBytes { EventID(bytes: $0) } == nil)
        #expect(id.createdAtMilliseconds == 0x018F_6B1E_2A3C)
    }

    @Test(arguments: [
        "", "018f6b1e2a3c7d4e8f5061728394a5b6", "018f6b1e-2a3c-7d4e-8f50-61728394a5bg",
        "018f6b1e-2a3c-7d4e-8f50-61728394a5b6 ", "018f6b1e-2a3c-7d4e-8f50_61728394a5b6",
        "{018f6b1e-2a3c-7d4e-8f50-61728394a5b6}",
    ])
    func otherTextsAreRefused(_ text: String) {
        #expect(EventID(text) == nil)
    }

    @Test func orderIsThatOfTheBytes() {
        var generator = SeededGenerator(seed: 2)
        for _ in 0..<200 {
            let left = EventID(high: .random(in: 0...3, using: &generator), low: generator.next())
            let right = EventID(high: .random(in: 0...3, using: &generator), low: generator.next())
            #expect((left < right) == (left.description < right.description))
        }
    }
}
