// What follows from every kind of outcome.

import Testing

@testable import Outbox

@Suite struct VerdictTests {
    private func judge(
        _ outcome: Outcome,
        attempt: Int = 1,
        final: FinalStatuses = .none,
        retry: RetryPolicy = .standard,
        url: String = "https://example.org/hook"
    ) throws -> Verdict {
        let destination = try Fixture.destination(retry: retry, finalStatuses: final, url: url)
        return Verdict.judge(outcome, destination: destination, attempt: attempt, random: 0)
    }

    private func answered(_ status: Int, retryAfter: Duration? = nil, body: String = "") -> Outcome {
        .answered(Answer(status: status, retryAfter: retryAfter, bodyPrefix: Array(body.utf8)))
    }

    @Test(arguments: [200, 201, 202, 204, 206, 299])
    func only2xxDelivers(_ status: Int) throws {
        #expect(try judge(answered(status)) == Verdict(action: .delivered))
    }

    static let retried: [(Int, FailureClass)] = [
        (100, .protocolError), (199, .protocolError), (0, .protocolError), (600, .protocolError), (-1, .protocolError),
        (300, .redirectRefused), (301, .redirectRefused), (302, .redirectRefused), (304, .redirectRefused),
        (307, .redirectRefused), (308, .redirectRefused), (400, .clientError), (401, .clientError), (403, .clientError),
        (404, .clientError), (405, .clientError), (407, .clientError), (408, .throttled), (409, .clientError), (422, .clientError),
        (425, .throttled), (428, .clientError), (429, .throttled), (499, .clientError), (500, .serverError),
        (501, .serverError), (502, .unavailable), (503, .unavailable), (504, .unavailable), (599, .serverError),
    ]

    @Test(arguments: retried)
    func otherStatusesAreRetriedOnTheSchedule(_ status: Int, _ failure: FailureClass) throws {
        let verdict = try judge(answered(status))
        #expect(verdict == Verdict(action: .retry(after: .seconds(30)), failure: failure, blamesDestination: true))
        #expect(try judge(answered(status), attempt: 5).action == .retry(after: .seconds(480)))
        #expect(try judge(answered(status), attempt: 6).action == .exhausted(grace: .seconds(480)))
    }

    /// Attempts before may not have counted, of which Postgres knows; the first one has none before it.
    @Test func theLastAttemptIsDeadUnlessOthersDidNotCount() throws {
        let once = try RetryPolicy(maxAttempts: 1)
        #expect(try judge(answered(500), attempt: 1, retry: once).action == .dead(.exhausted))
        #expect(try judge(answered(500), attempt: 2, retry: once).action == .exhausted(grace: .seconds(30)))
        #expect(try judge(answered(500), attempt: 40).action == .exhausted(grace: .seconds(480)))
        #expect(try judge(answered(500), attempt: Verdict.mostAttempts).action == .dead(.exhausted))
    }

    @Test(arguments: [ExchangeFailure.dns, .connect, .tls])
    func noWayFoundQuicklyIsTriedAgainAtOnceOnce(_ failure: ExchangeFailure) throws {
        func judge(_ attempt: Int, _ duration: Duration?, attempts: Int = 6) throws -> Verdict.Action {
            let destination = try Fixture.destination(retry: RetryPolicy(maxAttempts: attempts), finalStatuses: .none)
            return Verdict.judge(
                .failed(failure), destination: destination, attempt: attempt, random: 0, duration: duration
            ).action
        }
        #expect(try judge(1, .milliseconds(999)) == .retry(after: .zero))
        #expect(try judge(1, .seconds(1)) == .retry(after: .seconds(30)))
        #expect(try judge(1, nil) == .retry(after: .seconds(30)))
        #expect(try judge(2, .zero) == .retry(after: .seconds(60)))
        #expect(try judge(1, .zero, attempts: 1) == .dead(.exhausted))
    }

    @Test(arguments: [ExchangeFailure.refusedAddress, .certificate, .timeout, .reset, .protocolError, .tooLarge])
    func otherFailuresWaitForTheSchedule(_ failure: ExchangeFailure) throws {
        let destination = try Fixture.destination(retry: .standard, finalStatuses: .none)
        let verdict = Verdict.judge(
            .failed(failure), destination: destination, attempt: 1, random: 0, duration: .zero)
        #expect(verdict.action == .retry(after: .seconds(30)))
    }

    static let hints: [(Int, Duration, Duration, Duration?)] = [
        (429, .seconds(5), .seconds(30), .seconds(5)), (429, .seconds(90), .seconds(90), .seconds(90)),
        (503, .seconds(90), .seconds(90), .seconds(90)), (408, .seconds(90), .seconds(90), .seconds(90)),
        (425, .seconds(90), .seconds(90), .seconds(90)), (503, .seconds(100_000), .seconds(86_400), .seconds(86_400)),
        (500, .seconds(90), .seconds(30), nil), (404, .seconds(90), .seconds(30), nil),
        (302, .seconds(90), .seconds(30), nil), (429, .zero, .seconds(30), .zero),
    ]

    @Test(arguments: hints)
    func retryAfterDelaysButNeverHastens(_ status: Int, _ hint: Duration, _ delay: Duration, _ pause: Duration?) throws {
        let verdict = try judge(answered(status, retryAfter: hint))
        #expect(verdict.action == .retry(after: delay))
        #expect(verdict.pausesDestination == pause)
    }

    @Test func retryAfterDoesNotRaiseTheDead() throws {
        let verdict = try judge(answered(429, retryAfter: .seconds(90)), attempt: 6)
        #expect(verdict.action == .exhausted(grace: .seconds(480)))
        #expect(verdict.pausesDestination == .seconds(90))
        // Should Postgres count fewer attempts, it is not sent again within the pause.
        #expect(try judge(answered(429, retryAfter: .seconds(900)), attempt: 6).action == .exhausted(grace: .seconds(900)))
    }

    /// A destination that fails at once, or for good, has failed all the same: else none of it would ever be paused or disabled.
    @Test func finalAndInstantFailuresAreBlamedToo() throws {
        #expect(
            try judge(answered(401), final: FinalStatuses("4xx"))
                == Verdict(action: .dead(.final), failure: .clientError, blamesDestination: true))
        let destination = try Fixture.destination(retry: .standard, finalStatuses: .none)
        let instant = Verdict.judge(.failed(.dns), destination: destination, attempt: 1, random: 0, duration: .zero)
        #expect(instant == Verdict(action: .retry(after: .zero), failure: .dns, blamesDestination: true))
    }

    /// The receiver took the batch, and a transform failed before anything was sent: neither speaks against the destination.
    @Test func singleItemsAndTransformsBlameNobodyAndSpendAnAttempt() throws {
        for (outcome, failure) in [(Outcome.refusedItem, FailureClass.refusedItem), (Outcome.untransformed, FailureClass.transform)] {
            #expect(try judge(outcome) == Verdict(action: .retry(after: .seconds(30)), failure: failure))
            #expect(try judge(outcome, attempt: 6).action == .exhausted(grace: .seconds(480)))
        }
    }

    /// One event is given up; those behind it need not follow.
    @Test func aFinalAnswerPausesItsDestinationToo() throws {
        let verdict = try judge(answered(429, retryAfter: .seconds(90)), final: FinalStatuses("4xx"))
        #expect(verdict.action == .dead(.final))
        #expect(verdict.pausesDestination == .seconds(90))
        let long = try judge(answered(503, retryAfter: .seconds(100_000)), final: FinalStatuses("5xx"))
        #expect(long.pausesDestination == .seconds(86_400))
        #expect(try judge(answered(404, retryAfter: .seconds(90)), final: FinalStatuses("4xx")).pausesDestination == nil)
    }

    @Test func goneDisablesTheDestinationAndParksItsDeliveries() throws {
        for final in try [FinalStatuses.none, FinalStatuses("4xx")] {
            let verdict = try judge(answered(410), attempt: 6, final: final)
            #expect(verdict == Verdict(action: .park, failure: .gone, disablesDestination: true, blamesDestination: true))
        }
    }

    @Test(arguments: [413, 415])
    func aRefusedPayloadIsFinalAndBlamesNobody(_ status: Int) throws {
        let verdict = try judge(answered(status))
        #expect(verdict == Verdict(action: .dead(.final), failure: .payloadRefused))
        #expect(try judge(answered(status), final: FinalStatuses("!413,!415")).action == .retry(after: .seconds(30)))
    }

    @Test func finalStatusesAreASetting() throws {
        #expect(try judge(answered(404), final: FinalStatuses("4xx")).action == .dead(.final))
        #expect(try judge(answered(429), final: FinalStatuses("4xx")).action == .dead(.final))
        #expect(try judge(answered(429), final: FinalStatuses("4xx,!429")).action == .retry(after: .seconds(30)))
        #expect(try judge(answered(500), final: FinalStatuses("4xx")).action == .retry(after: .seconds(30)))
        #expect(try judge(.failed(.timeout), final: FinalStatuses("4xx")).action == .retry(after: .seconds(30)))
        #expect(try judge(answered(501), final: FinalStatuses("501")).action == .dead(.final))
        #expect(try judge(answered(404), final: FinalStatuses("400-403, 405")).action == .retry(after: .seconds(30)))
        #expect(try judge(answered(402), final: FinalStatuses("400-403, 405")).action == .dead(.final))
    }

    @Test(arguments: ["x", "4xx;5xx", "399", "600", "450-440", "404-", "-404", "!", "+404", "2xx", "404-405-406"])
    func unreadableStatusesAreRefused(_ text: String) {
        #expect(throws: FinalStatusesError.self) { try FinalStatuses(text) }
    }

    static let inactive = [
        #"{"code":404,"message":"The requested webhook \"POST user-registration\" is not registered.","hint":"The "#
            + #"workflow must be active for a production URL to run successfully."}"#,
        #"{"code":404,"message":"This webhook is not registered for POST requests. Did you mean to make a GET request?"}"#,
        " \n" + #"{"code":404,"message":"The requested webhook \"POST x\" is not registered.","hint":"Click"}"#,
    ]

    @Test(arguments: inactive)
    func anInactiveWorkflowIsRetriedWithoutBlame(_ body: String) throws {
        for final in try [FinalStatuses.none, FinalStatuses("4xx")] {
            let verdict = try judge(answered(404, body: body), final: final)
            #expect(verdict == Verdict(action: .retry(after: .seconds(30)), failure: .workflowInactive))
        }
        #expect(try judge(answered(403, body: body)).failure == .clientError)
        #expect(try judge(answered(404, body: body), attempt: 6).action == .exhausted(grace: .seconds(480)))
    }

    @Test(arguments: ["", "is not registered", #"{"message":"not found"}"#, "<html>webhook is not registered</html>"])
    func other404sAreNotInactiveWorkflows(_ body: String) throws {
        #expect(try judge(answered(404, body: body)).failure == .clientError)
    }

    static let failures: [ExchangeFailure] = ExchangeFailure.allCases.filter {
        $0 != .cancelled && $0 != .invalidRequest && $0 != .proxy && $0 != .worker
    }

    @Test(arguments: failures)
    func failedExchangesAreRetriedUnderTheirName(_ failure: ExchangeFailure) throws {
        let verdict = try judge(.failed(failure), attempt: 2)
        #expect(verdict.action == .retry(after: .seconds(60)))
        #expect(verdict.failure?.rawValue == failure.rawValue)
        #expect(verdict.blamesDestination)
        #expect(verdict.spendsAttempt)
    }

    @Test func aCancelledAttemptCostsNothing() throws {
        let verdict = try judge(.failed(.cancelled), attempt: 6)
        #expect(verdict == Verdict(action: .retry(after: .zero), failure: .cancelled, spendsAttempt: false))
    }

    @Test(arguments: [
        (ExchangeFailure.proxy, FailureClass.proxy, 480), (ExchangeFailure.worker, FailureClass.worker, 30),
    ])
    func faultOnOurSideSpendsNoAttempt(_ failure: ExchangeFailure, _ recorded: FailureClass, _ wait: Int) throws {
        let verdict = try judge(.failed(failure), attempt: 6)
        #expect(verdict.failure == recorded && !verdict.spendsAttempt && !verdict.blamesDestination)
        #expect(verdict.action == .retry(after: .seconds(wait)))
        #expect(!recorded.isStrain)
    }

    @Test func anInvalidRequestIsDeadAtOnce() throws {
        #expect(try judge(.failed(.invalidRequest)) == Verdict(action: .dead(.final), failure: .invalidRequest))
    }

    /// Over TLS no proxy can have said it, and a receiver that does is treated like others: ``retried``.
    private static let plain = "http://example.org/hook"

    @Test func theProxysOwnFaultSpendsNoAttempt() throws {
        for (attempts, attempt) in [(6, 6), (1, 1), (6, 1)] {
            let verdict = try judge(
                answered(407), attempt: attempt, retry: RetryPolicy(maxAttempts: attempts), url: Self.plain)
            guard case .retry(let delay) = verdict.action else {
                Issue.record("not retried")
                continue
            }
            #expect(delay >= .seconds(30))
            #expect(!verdict.spendsAttempt)
            #expect(!verdict.blamesDestination)
        }
    }

    /// The number of an attempt is a smallint, and what a destination asks for must not overflow it.
    @Test func attemptsThatDoNotCountEndTooAndAreNotRepeatedAtOnce() throws {
        let eager = try RetryPolicy(delays: [.zero], jitter: 0)
        let most = Verdict.mostAttempts
        #expect(try judge(answered(407), attempt: 1, retry: eager, url: Self.plain).action == .retry(after: .seconds(1)))
        #expect(try judge(answered(407), attempt: most - 1, retry: eager, url: Self.plain).action == .retry(after: .seconds(1)))
        #expect(try judge(answered(407), attempt: most, retry: eager, url: Self.plain).action == .dead(.exhausted))
        #expect(try judge(.failed(.proxy), attempt: most).action == .dead(.exhausted))
        #expect(try judge(answered(200), attempt: most).action == .delivered)
        #expect(most < Int(Int16.max))
    }

    @Test func controlHeadersAreObeyedOnAnyStatus() throws {
        func judge(_ status: Int, _ value: String) throws -> Verdict {
            let answer = Answer(status: status, headers: [(name: "Webhook-Delivery", value: value)], unixSeconds: 0)
            return try self.judge(.answered(answer))
        }
        #expect(try judge(200, "disable") == Verdict(action: .delivered, disablesDestination: true))
        let parked = Verdict(action: .park, failure: .refusedByReceiver, disablesDestination: true)
        #expect(try judge(500, "disable") == parked)
        #expect(try judge(500, "abort-message") == Verdict(action: .dead(.final), failure: .refusedByReceiver))
        #expect(try judge(200, "abort-message") == Verdict(action: .delivered))
        #expect(try judge(500, "whatever").action == .retry(after: .seconds(30)))
    }

    @Test func headersAreReadInAnyCase() {
        let answer = Answer(
            status: 503,
            headers: [(name: "RETRY-AFTER", value: "Thu, 01 Jan 1970 00:01:40 GMT"), (name: "x", value: "y")],
            unixSeconds: 40
        )
        #expect(answer.retryAfter == .seconds(60))
    }

    /// What is a strain opens breakers: one too few and a dead receiver gets every event, one too many and a setting closes it.
    @Test func classesThatOpenBreakersAndAskForLess() {
        let strains: [FailureClass] = [
            .dns, .connect, .tls, .certificate, .timeout, .reset, .protocolError, .tooLarge, .serverError, .throttled, .unavailable,
        ]
        #expect(FailureClass.allCases.filter(\.isStrain) == strains)
        #expect(FailureClass.allCases.filter(\.asksForLess) == [.throttled, .unavailable])
        #expect(FailureClass.allCases.filter(\.isBlamelessAnswer) == [.payloadRefused, .workflowInactive, .refusedByReceiver])
    }

    @Test func classNamesAreStable() {
        #expect(
            FailureClass.allCases.map(\.rawValue) == [
                "dns", "connect", "tls", "certificate", "timeout", "reset", "protocol", "too_large", "refused_address",
                "invalid_request", "cancelled", "redirect_refused", "client_error", "server_error", "throttled",
                "unavailable", "gone", "payload_refused", "workflow_inactive", "proxy", "worker", "refused_by_receiver", "refused_item",
                "skipped", "poison", "transform", "dropped", "erased", "scope",
            ]
        )
    }
}
