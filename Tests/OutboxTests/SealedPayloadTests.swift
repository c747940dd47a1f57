// Payloads at rest: opened only where they were sealed, byte for byte.

import Foundation
import Outbox
import Testing

@Suite struct SealedPayloadTests {
    private static let ring = try! KeyRing(list: "k1:\(Data(repeating: 7, count: 32).base64EncodedString())")
    private static let id = EventID(high: 0x01a1_fc61_5643_7ab4, low: 0x82fb_3679_6572_a704)

    private func event(_ data: String, id: EventID = id) -> Event {
        Event(id: id, type: "a.b", createdAtMicroseconds: 0, data: Array(data.utf8))
    }

    private func sealed(_ plain: String) throws -> String {
        let text = try SealedSecret(sealing: plain, for: .payload(Self.id), with: Self.ring).text
        return #"{"postrider": "\#(text)"}"#
    }

    @Test(arguments: ["{}", #"{"a": 1.50, "ü": "\u0001"}"#, "[1, 2]", "null", String(repeating: "9", count: 100_000)])
    func whatWasSealedOpensByteForByte(_ plain: String) throws {
        let stored = event(try sealed(plain))
        #expect(stored.isSealed && !stored.isErased)
        #expect(try stored.opened(with: Self.ring).data == Array(plain.utf8))
    }

    @Test func payloadOfAnotherEventDoesNotOpen() throws {
        let copied = event(try sealed("{}"), id: EventID(high: 1, low: 2))
        #expect(throws: SealingError.doesNotOpen(key: "k1")) { try copied.opened(with: Self.ring) }
        #expect(throws: SealingError.missingKey("k1")) { try event(try sealed("{}")).opened(with: nil) }
    }

    @Test(arguments: ["{}", #"{"postrider": "payload removed"}"#, #"{"postrider": "sealed"}"#, #"{"postrider": 1}"#, #"{"x": "sealed:v1:"}"#])
    func whatIsNotSealedStaysAsItIs(_ data: String) throws {
        let plain = event(data)
        #expect(!plain.isSealed)
        #expect(try plain.opened(with: nil).data == Array(data.utf8))
    }

    @Test(arguments: [#"{"postrider": "sealed:v1:"}"#, #"{"postrider": "sealed:v9:k1:AAAA"}"#, #"{"postrider": "sealed:v1:k1:AAAA", "x": 1}"#])
    func whatOnlyLooksSealedIsAFault(_ data: String) {
        #expect(event(data).isSealed)
        #expect(throws: SealingError.malformed) { try event(data).opened(with: Self.ring) }
    }

    /// Others may have a key, or the right one of its name; nobody has one for what was never sealed, nor for what does not
    /// open with the right one.
    @Test func onlyKeysAreWaitedFor() {
        for isProven in [false, true] {
            #expect(Event.openingFault(.missingKey("k1")) { _ in isProven } == nil)
            #expect(Event.openingFault(.malformed) { _ in isProven } != nil)
        }
        #expect(Event.openingFault(.doesNotOpen(key: "k1")) { $0 != "k1" } == nil)
        #expect(Event.openingFault(.doesNotOpen(key: "k1")) { $0 == "k1" }?.contains("'k1'") == true)
    }

    @Test func removedPayloadIsKnown() {
        #expect(event(#"{"postrider": "payload removed"}"#).isErased)
        #expect(!event(#"{"postrider":"payload removed"}"#).isErased)
    }
}
