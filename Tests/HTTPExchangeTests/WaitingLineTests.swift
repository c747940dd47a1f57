// What is here: the line of requests that wait: none is lost, none comes twice, and their order stays.

import Testing

@testable import HTTPExchange

@Suite struct WaitingLineTests {
    private let target = Target(url: [], isSecure: false, host: Host(name: "name.invalid", port: 80))

    /// The token is the deadline, too.
    private func append(_ tokens: Range<UInt64>, to line: inout WaitingLine) {
        for token in tokens {
            let job = Job(request: Request(token: token, url: "http://name.invalid/"), reply: nil)
            line.append(Waiting(job: job, target: target, startedAt: 0, deadline: Int64(token)))
        }
    }

    private func pop(_ most: Int, from line: inout WaitingLine) -> [UInt64] {
        var tokens: [UInt64] = []
        while tokens.count < most, let next = line.popFirst() { tokens.append(next.job.request.token) }
        return tokens
    }

    /// More than the line keeps of those that have left it.
    @Test func longLineComesOutOnceAndInOrder() {
        var line = WaitingLine()
        append(0..<3_000, to: &line)
        let first = pop(1_500, from: &line)
        #expect(first == Array(0..<1_500))
        #expect(line.first?.job.request.token == 1_500 && line.nextDeadline == 1_500)
        append(3_000..<3_500, to: &line)
        let rest = pop(.max, from: &line)
        #expect(rest == Array(1_500..<3_500))
        #expect(line.isEmpty && line.first?.deadline == nil && line.nextDeadline == .max)
        append(0..<1, to: &line)
        #expect(!line.isEmpty)
    }

    @Test func whatLeftIsNotTakenOutAgainAndTheOthersStay() {
        var line = WaitingLine()
        append(0..<10, to: &line)
        _ = pop(3, from: &line)
        let none = line.remove { $0.deadline < 3 }
        #expect(none.isEmpty)
        let removed = line.remove { $0.deadline % 2 == 0 }
        #expect(removed.map(\.deadline) == [4, 6, 8])
        let rest = pop(.max, from: &line)
        #expect(rest == [3, 5, 7, 9])
    }
}
