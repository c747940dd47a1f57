// What the connections of a relay wait at while it hangs.

import Foundation
import Synchronization

/// The gate of connections that are made now, and the gates of those before.
final class RelayGates: Sendable {
    private let all = Mutex([Gate()])

    var current: Gate { all.withLock { $0[$0.count - 1] } }

    func hang() {
        all.withLock { all in
            all[all.count - 1].close()
            let next = Gate()
            next.close()
            all.append(next)
        }
    }

    func resume(forgets: Bool) { if forgets { current.open() } else { openAll() } }

    func openAll() { for gate in all.withLock({ $0 }) { gate.open() } }

    /// What pumps wait at.
    final class Gate: @unchecked Sendable {
        // NSCondition guards the flag.
        private let condition = NSCondition()
        private var isClosed = false

        func close() {
            condition.lock()
            isClosed = true
            condition.unlock()
        }

        func open() {
            condition.lock()
            isClosed = false
            condition.broadcast()
            condition.unlock()
        }

        func pass() {
            condition.lock()
            while isClosed { condition.wait() }
            condition.unlock()
        }
    }
}
