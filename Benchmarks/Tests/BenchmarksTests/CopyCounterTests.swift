// The counters of copies, against a program whose copies are known.

import CopyCounters
import Testing

@testable import bench

@Suite struct CopyCounterTests {
    private struct Known: Decodable {
        let allocations, allocated, copies, copied, exchanged: UInt64
    }

    @Test func everyLargeAllocationAndCopyIsCountedAndNoSmallOne() throws {
        let toolbox = try Toolbox(postrider: "")
        defer { toolbox.remove() }
        let counters = try CopyCounter(toolbox, least: 8_192)
        let child = try toolbox.start("bench-known-copies", [], preloading: counters.preload)
        defer { child.end() }
        let known = try decode(Known.self, child.finish(within: 10).last ?? "")
        let counted = try counters.read()
        #expect(known.copies > 0)
        #expect(counted.allocations == known.allocations)
        #expect(counted.allocated_bytes == known.allocated)
        #expect(counted.copies == known.copies)
        #expect(counted.copied_bytes == known.copied)
        #expect(counted.sent_bytes == known.exchanged)
        #expect(counted.received_bytes == known.exchanged)
    }

    @Test func whatIsSmallerThanTheLeastDoesNotCount() throws {
        let toolbox = try Toolbox(postrider: "")
        defer { toolbox.remove() }
        let counters = try CopyCounter(toolbox, least: 1_000_000)
        let child = try toolbox.start("bench-known-copies", [], preloading: counters.preload)
        defer { child.end() }
        _ = try child.finish(within: 10)
        let counted = try counters.read()
        #expect(counted.allocations == 0)
        #expect(counted.copies == 0)
    }
}
