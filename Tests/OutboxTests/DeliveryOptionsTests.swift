// What may stand in the column `options`, and what is said of the rest.

import Outbox
import Testing

@Suite struct DeliveryOptionsTests {
    private func options(_ text: String) throws -> DeliveryOptions { try DeliveryOptions(parsing: Array(text.utf8)) }

    private func fault(_ text: String) -> String? {
        do { _ = try options(text) } catch { return "\(error)" }
        return nil
    }

    @Test func emptyObjectIsNoOptions() throws {
        #expect(try options("{}") == .none)
    }

    @Test func unknownNamesAndFormsAreNamed() {
        #expect(fault(#"{"colour": 1}"#) == "option colour: there is no such option")
        #expect(fault(#"{"order": 1}"#) == "option order: expected true or false")
        #expect(fault("[]") == "options must be a JSON object")
        #expect(fault(#"{"order": true"#)?.hasPrefix("not JSON at byte 14") == true)
    }

    @Test func criticalIsTrueOrFalse() throws {
        #expect(try options(#"{"critical": true}"#).isCritical)
        #expect(fault(#"{"critical": "very"}"#) == "option critical: expected true or false")
    }

    @Test func nestingIsBounded() {
        let deep = String(repeating: "[", count: 40) + String(repeating: "]", count: 40)
        #expect(fault(#"{"order": \#(deep)}"#) == "nested more than 32 deep")
    }
}
