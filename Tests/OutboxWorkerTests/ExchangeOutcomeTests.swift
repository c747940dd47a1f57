// The HTTP client's failures in words of the domain.

import HTTPExchange
import Outbox
import Testing

@testable import OutboxWorker

@Suite struct ExchangeOutcomeTests {
    /// Found by the same raw value: one that only the client has would count as a fault of the protocol.
    @Test func everyFailureOfTheClientHasItsWord() {
        #expect(FailureKind.allCases.count > 10)
        #expect(Set(FailureKind.allCases.map(\.rawValue)) == Set(ExchangeFailure.allCases.map(\.rawValue)))
    }
}
