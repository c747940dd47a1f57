// When a claim is finished, and when it is cut down to what is left of it.

import Testing

@testable import OutboxWorker

@Suite struct OpenClaimsTests {
    /// A claim of so many deliveries, of which some are done.
    private func claim(of count: Int, done: Int) -> OpenClaims {
        var claims = OpenClaims()
        claims.hold(7, at: 0)
        for _ in 0..<count { claims.join(7) }
        var finished = claims.unhold(7)
        for _ in 0..<done { finished = claims.leave(7) || finished }
        #expect(finished == (count == done))
        return claims
    }

    /// Finished before, its row would be gone, and with it what a crash leaves of the deliveries that were not made yet.
    @Test func claimThatIsHeldIsNotFinished() {
        var claims = OpenClaims()
        claims.hold(7, at: 0)
        claims.hold(7, at: 0)
        claims.join(7)
        let steps = [claims.leave(7), claims.unhold(7)]
        #expect(steps == [false, false] && claims.contains(7))
        let last = claims.unhold(7)
        #expect(last && !claims.contains(7) && claims.ids.isEmpty)
    }

    @Test func claimIsFinishedWithItsLastDelivery() {
        var claims = claim(of: 3, done: 2)
        #expect(claims.count == 1)
        let last = claims.leave(7)
        let again = claims.leave(7)
        #expect(last && !again && claims.count == 0)
    }

    /// Cut down sooner, each slow delivery would rewrite its claim; never, and a crash would send again what was recorded.
    @Test(arguments: [(1, 1_000_001, false), (2, 1_000_001, true), (2, 1_000_000, false)])
    func claimOfWhichHalfIsLeftForASecondIsCutDownOnce(done: Int, at now: Int64, isTaken: Bool) {
        var claims = claim(of: 4, done: done)
        let taken = claims.takeStragglers(at: now)
        #expect(taken.contains(7) == isTaken)
        // Cut down already, or with too much left.
        let isLeft = isTaken || done < 2
        let again = claims.takeStragglers(at: 9_000_000)
        #expect(again.isEmpty == isLeft)
    }
}
