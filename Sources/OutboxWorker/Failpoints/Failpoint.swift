// Places where a test lets a worker die or stop. In release builds there is nothing here but the names.

internal import Glibc
internal import Synchronization

/// The points on the road of an event at which a crash is most telling.
///
/// Debug builds read `POSTRIDER_FAILPOINTS`: a comma list of `name=action:hit`, for example `after-send=kill:100` for a
/// death at the hundredth batch of answers. Actions are `kill` (SIGKILL) and `stop` (SIGSTOP). A line on standard error
/// tells that a point has acted.
enum Failpoint: String, CaseIterable {
    /// A claim is committed, and nobody in this process knows of it yet.
    case afterClaim = "after-claim"
    /// Requests are built, and none of them has left.
    case beforeSend = "before-send"
    /// Receivers have answered, and the answers are not noted yet.
    case afterSend = "after-send"
    /// Outcomes are on their way to Postgres.
    case beforeRecord = "before-record"
    /// Outcomes are committed, and this process does not know it yet.
    case afterRecord = "after-record"

    /// Passes the point: acts when this is the hit that was asked for, does nothing otherwise and in release builds.
    @inline(__always)
    func pass() {
        #if DEBUG
            FailpointPlan.shared.pass(self)
        #endif
    }
}

#if DEBUG
    /// What was asked for, and how often each point has been passed.
    struct FailpointPlan: Sendable {
        /// What happens at a point.
        enum Action: String {
            case kill, stop
        }

        static let shared = FailpointPlan(text: getenv("POSTRIDER_FAILPOINTS").map { String(cString: $0) } ?? "")

        private let orders: [Failpoint: Order]

        /// One entry of the list, with its count.
        private final class Order: Sendable {
            let action: Action
            let hit: Int
            let passed = Atomic(0)

            init(action: Action, hit: Int) {
                self.action = action
                self.hit = hit
            }
        }

        /// Reads the list; ends the process when it cannot be read, because a test without its fault proves nothing.
        init(text: String) {
            var orders: [Failpoint: Order] = [:]
            for entry in text.split(separator: ",") {
                let parts = entry.split(whereSeparator: { "=:".contains($0) }).map(String.init)
                guard parts.count == 3, let point = Failpoint(rawValue: parts[0]),
                    let action = Action(rawValue: parts[1]),
                    let hit = Int(parts[2]), hit > 0
                else { fatalError("POSTRIDER_FAILPOINTS cannot be read: \(entry)") }
                orders[point] = Order(action: action, hit: hit)
            }
            self.orders = orders
        }

        func pass(_ point: Failpoint) {
            guard let order = orders[point], order.passed.add(1, ordering: .relaxed).newValue == order.hit else {
                return
            }
            let line = "failpoint \(point.rawValue): \(order.action.rawValue)\n"
            _ = line.withCString { write(STDERR_FILENO, $0, strlen($0)) }
            kill(getpid(), order.action == .kill ? SIGKILL : SIGSTOP)
        }
    }
#endif
