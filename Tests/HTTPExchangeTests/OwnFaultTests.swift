// What is here: requests that cannot be sent because this process lacks something: no fault of the receiver.

import Glibc
import Testing

@testable import HTTPExchange

@Suite(.timeLimit(.minutes(10))) struct OwnFaultTests {
    @Test func missingDescriptorIsNoFaultOfTheReceiver() async {
        // In a process of its own: the limit belongs to all tests.
        await #expect(processExitsWith: .success) {
            let receiver = try Receiver.answering()
            let kind = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
            var limit = rlimit()
            let isRead = getrlimit(kind, &limit) == 0
            var none = rlimit(rlim_cur: 0, rlim_max: limit.rlim_max)
            try await withExchanger { exchanger in
                // The resolver's own files are read with the first lookup: of a want of them it tells nothing.
                _ = await exchanger.perform(.post("http://localhost:1/"))
                let isTaken = setrlimit(kind, &none) == 0
                let unsent = await exchanger.perform(.post(receiver.url()))
                // The resolver lacks it: what would be read or asked needs one as well.
                let unnamed = await exchanger.perform(.post("http://localhost:2/"))
                let isGivenBack = setrlimit(kind, &limit) == 0
                #expect(isRead && isTaken && isGivenBack)
                #expect(unsent.failure?.kind == .worker, "\(unsent.result)")
                #expect(unnamed.failure?.kind == .worker, "\(unnamed.result)")
                // The next has a socket, also over the same handle.
                #expect(await exchanger.perform(.post(receiver.url())).response?.status == 200)
            }
            #expect(receiver.accepted == 1)
        }
    }

    @Test func missingThreadForALookupIsNoFaultOfTheReceiver() throws {
        var table = HostTable(settings: .loopback, counters: RunningCounters(), mailbox: try Mailbox())
        let host = try table.target(for: "https://name.invalid/").host
        let error = LookupError(message: "no thread", isOwn: true)
        _ = table.take(LookupAnswer(key: "name.invalid:443", result: .failure(error)), now: 1)
        guard case .failed(let failure) = table.readiness(of: host, now: 2) else {
            Issue.record("the lookup did not fail")
            return
        }
        #expect(failure.kind == .worker)
    }
}
