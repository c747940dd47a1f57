// One takeover of a suspect at a time, and which of its failures are told.

import Postgres
import Testing

@testable import OutboxWorker

@Suite struct RescuesTests {
    private let refused = PostgresError(code: .server, message: "refused", sqlState: "42501")
    private let lost = PostgresError(code: .connectionLost, message: "lost")

    @Test func suspectIsTakenOverOnceAtATime() {
        let rescues = Rescues()
        #expect(rescues.begin(1) && !rescues.begin(1) && rescues.begin(2))
        rescues.end(1)
        #expect(rescues.begin(1) && !rescues.begin(2))
        _ = rescues.fail(2, lost)
        #expect(rescues.begin(2))
    }

    @Test func failureIsToldOnceWhateverTheSuspect() {
        let rescues = Rescues()
        #expect(rescues.fail(1, refused) && !rescues.fail(1, refused) && !rescues.fail(2, refused))
        #expect(rescues.fail(2, lost))
        rescues.end(1)
        #expect(rescues.fail(1, lost))
    }
}
