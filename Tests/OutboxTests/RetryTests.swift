// When attempts are repeated: schedules, their written forms, and Retry-After.

import TestSupport
import Testing

@testable import Outbox

@Suite struct RetryTests {
    private func schedule(_ policy: RetryPolicy, random: Double = 0) -> [Double] {
        var delays: [Double] = []
        while let delay = policy.delay(afterAttempt: delays.count + 1, random: random), delays.count < 2000 {
            delays.append(RetryPolicy.seconds(delay))
        }
        return delays
    }

    @Test func theDefaultIsFiveRetriesThatDouble() throws {
        #expect(schedule(.standard) == [30, 60, 120, 240, 480])
        #expect(schedule(.standard, random: 1) == [33, 66, 132, 264, 528])
        #expect(try RetryPolicy() == .standard)
    }

    /// "Retry Schedule" of the specification: ten attempts within 75 h 35 m 5 s, with jitter.
    @Test func theScheduleOfStandardWebhooksCanBeSaid() throws {
        let delays: [Double] = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]
        let policy = try RetryPolicy(json: #"{"delays":[5,300,1800,7200,18000,36000,50400,72000,86400]}"#)
        #expect(policy.maxAttempts == 10)
        #expect(schedule(policy) == delays)
        let total = schedule(policy).reduce(0, +)
        // 75 h 35 m 5 s.
        #expect(total == 272_105)
        #expect(schedule(policy, random: 1) == [5.5, 330, 1980, 7920, 19_800, 39_600, 55_440, 79_200, 95_040])
    }

    @Test func delaysNeverExceedTheCapAndSpreadThereToo() throws {
        let policy = try RetryPolicy(maxAttempts: 12)
        let (least, most) = (schedule(policy, random: 0), schedule(policy, random: 1))
        #expect(least == [30, 60, 120, 240, 480, 960, 1920, 3240, 3240, 3240, 3240])
        #expect(most == [33, 66, 132, 264, 528, 1056, 2112, 3600, 3600, 3600, 3600])
    }

    @Test func jitterSpreadsEvenly() throws {
        let policy = try RetryPolicy(jitter: 0.5)
        var generator = SeededGenerator(seed: 9)
        var buckets = [Int](repeating: 0, count: 10)
        for _ in 0..<10_000 {
            let delay = policy.delay(afterAttempt: 1, random: .random(in: 0..<1, using: &generator))
            let share = (RetryPolicy.seconds(try #require(delay)) - 30) / 15
            buckets[min(9, Int(share * 10))] += 1
        }
        for bucket in buckets { #expect((800...1200).contains(bucket)) }
    }

    static let forms: [(String, [Double])] = [
        ("{}", [30, 60, 120, 240, 480]), (#"{"max_attempts":1}"#, []),
        (#"{"max_attempts":4,"base_delay":0.5,"factor":3,"max_delay":4,"jitter":0}"#, [0.5, 1.5, 4]),
        (#"{"delays":[5,300,1800],"jitter":0}"#, [5, 300, 1800]), (#"{"delays":[]}"#, []),
        (#"{"max_attempts":3,"backoff_type":"exponential","initial_delay":1000,"max_delay":30000}"#, [1, 2]),
        (
            #"{"max_attempts":8,"backoff_type":"exponential","initial_delay":1000,"max_delay":30000}"#,
            [1, 2, 4, 8, 16, 30, 30]
        ),
        (#"{"max_attempts":4,"backoff_type":"linear","initial_delay":250,"max_delay":600}"#, [0.25, 0.5, 0.6]),
        (#"{"max_attempts":3,"backoff_type":"fixed","initial_delay":1000}"#, [1, 1]),
        // The most that is allowed: 366 days, a factor of 100.
        (#"{"delays":[31622400],"jitter":0}"#, [31_622_400]),
        (#"{"max_attempts":3,"base_delay":1,"factor":100,"jitter":0}"#, [1, 100]),
        (#"{"retry_count":3}"#, [2, 4, 8]), (#"{"retry_count":0}"#, []), (#"{"retry_attempts":3}"#, [30, 60, 120]),
        // crm knows no cap.
        (#"{"retry_count":13}"#, [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192]),
    ]

    @Test(arguments: forms)
    func writtenFormsAreRead(_ text: String, _ delays: [Double]) throws {
        #expect(schedule(try RetryPolicy(json: text)) == delays)
    }

    static let refused: [(String, RetryPolicyError?)] = [
        (#"{"max_attempts":0}"#, .attempts(0)), (#"{"max_attempts":1001}"#, .attempts(1001)),
        (#"{"factor":0.5}"#, .factor), (#"{"jitter":1.1}"#, .jitter), (#"{"jitter":-0.1}"#, .jitter),
        (#"{"base_delay":-1}"#, .delay), (#"{"max_delay":1e300}"#, .delay), (#"{"max_delay":1e400}"#, .delay),
        (#"{"base_delay":10,"max_delay":5}"#, .baseAboveMaximum), (#"{"delays":[1,-1]}"#, .delay),
        (#"{"factor":100.5}"#, .factor), (#"{"max_delay":31622401}"#, .delay),
        (#"{"base_delay":31622401}"#, .delay), (#"{"delays":[31622401]}"#, .delay),
        (#"{"retry_count":-1}"#, nil), (#"{"delays":"x"}"#, nil), (#"{"delays":["x"]}"#, nil), ("[]", nil), ("{", nil),
        (#"{"max_attempt":3}"#, nil), (#"{"max_attempts":1.5}"#, nil), (#"{"max_attempts":"3"}"#, nil),
        (#"{"backoff_type":"random"}"#, nil), (#"{"retry_count":3,"jitter":0}"#, nil),
    ]

    @Test(arguments: refused)
    func policiesOutOfRangeAreRefused(_ text: String, _ expected: RetryPolicyError?) {
        do {
            _ = try RetryPolicy(json: text)
            Issue.record("accepted")
        } catch {
            if let expected { #expect(error == expected) }
            #expect(!error.description.isEmpty)
        }
    }

    @Test func extremesDoNotTrap() throws {
        let policy = try RetryPolicy(maxAttempts: 1000, growth: .exponential(factor: 100))
        #expect(schedule(policy, random: .nan).count == 999)
        #expect(policy.delay(afterAttempt: 0, random: -5) == .seconds(30))
        #expect(policy.delay(afterAttempt: -3, random: 5) == .seconds(33))
        #expect(policy.delay(afterAttempt: .max, random: 0) == nil)
        #expect(schedule(try RetryPolicy(delays: [.zero, .zero])) == [0, 0])
    }

    /// 2026-01-01T00:00:00Z.
    private static let now: Int64 = 1_767_225_600

    static let hints: [(String, Duration?)] = [
        ("0", .zero), ("120", .seconds(120)), (" 5 ", .seconds(5)), ("1.5", .milliseconds(1500)),
        ("0.0001", .milliseconds(1)), ("2.0", .seconds(2)), ("99999999999999999999999", .seconds(366 * 86_400)),
        ("Thu, 01 Jan 2026 00:01:00 GMT", .seconds(60)), ("Thursday, 01-Jan-26 00:01:00 GMT", .seconds(60)),
        ("Thu Jan  1 00:01:00 2026", .seconds(60)), ("Wed, 31 Dec 2025 23:59:59 GMT", .zero),
        ("Sun, 06 Nov 1994 08:49:37 GMT", .zero), ("Sunday, 06-Nov-94 08:49:37 GMT", .zero),
        ("Sun Nov  6 08:49:37 1994", .zero), ("Fri, 31 Dec 9999 23:59:59 GMT", .seconds(366 * 86_400)),
        ("Thu, 01 Jan 2026 24:00:00 GMT", nil), ("Thu, 30 Feb 2026 00:00:00 GMT", nil),
        ("Thu, 01 Foo 2026 00:00:00 GMT", nil), ("Thu, 01 Jan 2026 00:01:00 CET", nil), ("", nil), (" ", nil),
        ("-1", nil), ("+1", nil), ("1e3", nil), ("1.", nil), (".5", nil), ("1.2.3", nil), ("0x10", nil), ("soon", nil),
        ("1, 2", nil), ("١٢", nil), ("Thu, 00 Jan 2026 00:00:00 GMT", nil), ("Thu, 01 Jan 2026", nil),
        ("Thu, 29 Feb 2028 00:00:00 GMT", .seconds(366 * 86_400)), ("Thursday, 01-Jan-77 00:01:00 GMT", .zero),
        // Two digits mean the next century up to fifty years ahead.
        ("Wednesday, 01-Jan-76 00:01:00 GMT", .seconds(366 * 86_400)),
        ("Thu, 01 Jan 2026 00:60:00 GMT", nil), ("Thu, 01 Jan 2026 00:00:61 GMT", nil),
        ("Thu, 01 Jan 2026 00:00:60 GMT", .seconds(60)),
    ]

    @Test(arguments: hints)
    func retryAfterIsReadInAllItsForms(_ value: String, _ expected: Duration?) {
        #expect(RetryAfter.parse(value, nowUnixSeconds: Self.now) == expected)
    }

    @Test func datesAreThereAndBackTheSame() {
        for day in stride(from: -800_000 as Int64, through: 3_000_000, by: 37) {
            let date = Timestamp.civilDate(day: day)
            #expect(Timestamp.day(year: date.year, month: date.month, day: date.day) == day)
        }
    }

    static let instants: [(Int64, String)] = [
        (0, "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"), (999, "1970-01-01T00:00:00.000Z"),
        (951_782_400_000_000, "2000-02-29T00:00:00.000Z"), (4_102_444_799_999_999, "2099-12-31T23:59:59.999Z"),
        (253_402_300_799_999_999, "9999-12-31T23:59:59.999Z"), (-62_135_596_800_000_000, "0001-01-01T00:00:00.000Z"),
        (Int64.max, "294247-01-10T04:00:54.775Z"), (Int64.min + 946_684_800_000_000, "-290278-12-22T19:59:05.224Z"),
    ]

    @Test(arguments: instants)
    func instantsAreWrittenInUTC(_ microseconds: Int64, _ expected: String) {
        var output: [UInt8] = []
        Timestamp.appendISO8601(microseconds: microseconds, to: &output)
        #expect(String(decoding: output, as: UTF8.self) == expected)
    }
}
