// One thread that waits for every connection's socket and deadline, and runs the tasks that wait with it. Connections
// register here once they are open.

internal import CLibPQ
internal import Glibc
internal import Synchronization

/// What the reactor calls when a socket can be read or written. Called on the reactor's thread; must not block.
protocol SocketHandler: AnyObject, Sendable {
    /// The socket has input, has ended, or takes output again.
    func socketIsReady()
}

/// An epoll loop on a thread of its own, started at first use and kept until the process ends.
///
/// Sockets are watched from registration to removal, not per query: an idle connection notices notifications and its
/// own end at once. Handlers are held weakly, so an abandoned connection can go away by itself.
final class Reactor: Sendable {
    /// The process's reactor; starting its thread fails only when the system is out of resources.
    static let shared = Reactor()

    private struct State {
        var handlers: [UInt64: WeakHandler] = [:]
        var lastToken: UInt64 = 0
        var timers = TimerHeap()
        /// Parts of tasks that are to run on the thread, in order.
        var jobs: [UnownedJob] = []
        /// Until when the loop sleeps; a timer before that has to wake it. In the past while it is awake.
        var sleepsUntil = MonotonicTime.past
    }

    private struct WeakHandler {
        weak var handler: (any SocketHandler)?
    }

    private let state = Mutex(State())
    private let poller: Int32
    private let waker: Int32
    private let isRunning: Bool

    /// The token of the eventfd that interrupts the loop.
    private static let wakeToken: UInt64 = 0

    private init() {
        poller = epoll_create1(Int32(EPOLL_CLOEXEC))
        waker = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        var event = epoll_event(events: EPOLLIN.rawValue, data: epoll_data(u64: Self.wakeToken))
        let watched = epoll_ctl(poller, EPOLL_CTL_ADD, waker, &event) == 0
        let loop = Loop(poller: poller, waker: waker)
        isRunning = watched && DetachedThread.start { loop.run() }
    }

    /// Watches a socket for input until ``remove(_:descriptor:)``.
    ///
    /// - Returns: the token for the other calls; nil when the system is out of descriptors or threads.
    func add(_ handler: any SocketHandler, descriptor: Int32) -> UInt64? {
        guard isRunning else { return nil }
        let token = state.withLock { state in
            state.lastToken += 1
            state.handlers[state.lastToken] = WeakHandler(handler: handler)
            return state.lastToken
        }
        var event = epoll_event(events: EPOLLIN.rawValue, data: epoll_data(u64: token))
        guard epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event) == 0 else {
            state.withLock { _ = $0.handlers.removeValue(forKey: token) }
            return nil
        }
        return token
    }

    /// Chooses whether the handler also hears when the socket takes output.
    func watch(_ token: UInt64, descriptor: Int32, forOutput: Bool) {
        let events = forOutput ? EPOLLIN.rawValue | EPOLLOUT.rawValue : EPOLLIN.rawValue
        var event = epoll_event(events: events, data: epoll_data(u64: token))
        _ = epoll_ctl(poller, EPOLL_CTL_MOD, descriptor, &event)
    }

    /// Ends the watch; call it before the socket is closed, as its number may be reused at once.
    func remove(_ token: UInt64, descriptor: Int32) {
        state.withLock { _ = $0.handlers.removeValue(forKey: token) }
        var event = epoll_event()
        _ = epoll_ctl(poller, EPOLL_CTL_DEL, descriptor, &event)
    }

    /// Runs an action on the reactor's thread at a point in time, or soon after; it cannot be taken back.
    func schedule(at deadline: MonotonicTime, _ action: @escaping @Sendable () -> Void) {
        let mustWake = state.withLock { state in
            state.timers.insert(TimerHeap.Timer(deadline: deadline, action: action))
            return deadline < state.sleepsUntil
        }
        if mustWake { _ = eventfd_write(waker, 1) }
    }

    /// The thread's side of the reactor.
    private struct Loop {
        let poller: Int32
        let waker: Int32

        /// Waits and serves for as long as the process lives.
        func run() -> Never {
            var events = [epoll_event](repeating: epoll_event(), count: 64)
            var jobs: [UnownedJob] = []
            while true {
                let until = Reactor.shared.nextSleep()
                let count = wait(&events, until)
                // -1 is EINTR: a signal was handled on this thread; there is nothing to serve and nothing is wrong.
                Reactor.shared.wakeUp()
                for index in 0..<Int(max(0, count)) {
                    let token = events[index].data.u64
                    if token == Reactor.wakeToken {
                        var value = eventfd_t()
                        _ = eventfd_read(waker, &value)
                    } else {
                        Reactor.shared.handler(token)?.socketIsReady()
                    }
                }
                Reactor.shared.runDueTimers()
                Reactor.shared.runJobs(&jobs)
            }
        }

        /// Waits to the microsecond where the kernel can (Linux 5.11, `epoll_pwait2(2)`), else to the millisecond.
        private func wait(_ events: inout [epoll_event], _ until: MonotonicTime) -> Int32 {
            guard until != .never, until != .past else {
                return epoll_wait(poller, &events, Int32(events.count), until == .never ? -1 : 0)
            }
            var time = until.timeLeft
            let count = epoll_pwait2(poller, &events, Int32(events.count), &time, nil)
            guard count < 0, errno == ENOSYS else { return count }
            return epoll_wait(poller, &events, Int32(events.count), until.pollTimeout)
        }
    }

    /// How long the loop may sleep; remembered so that whoever comes earlier wakes it.
    private func nextSleep() -> MonotonicTime {
        state.withLock { state in
            state.sleepsUntil = state.jobs.isEmpty ? state.timers.earliest : .past
            return state.sleepsUntil
        }
    }

    /// From now on nobody need wake the loop.
    private func wakeUp() { state.withLock { $0.sleepsUntil = .past } }

    /// Runs the jobs there are; those that come of them have their turn after the sockets.
    private func runJobs(_ jobs: inout [UnownedJob]) {
        state.withLock { swap(&$0.jobs, &jobs) }
        for job in jobs { job.runSynchronously(on: asUnownedTaskExecutor()) }
        jobs.removeAll(keepingCapacity: true)
    }

    /// The handler behind a token, nil when it was removed or has gone away.
    private func handler(_ token: UInt64) -> (any SocketHandler)? {
        state.withLock { $0.handlers[token]?.handler }
    }

    /// Runs what is due; actions may schedule further timers.
    private func runDueTimers() {
        guard state.withLock({ $0.timers.earliest }) != .never else { return }
        let now = MonotonicTime.now()
        while let timer = state.withLock({ $0.timers.popDue(at: now) }) { timer.action() }
    }
}

extension Reactor: TaskExecutor {
    /// Takes a part of a task to run on the thread, soon and in order.
    func enqueue(_ job: consuming ExecutorJob) {
        // Without a thread no connection can be opened, and a task still has to come to its end.
        guard isRunning else { return globalConcurrentExecutor.enqueue(job) }
        let job = UnownedJob(job)
        let mustWake = state.withLock { state in
            state.jobs.append(job)
            defer { state.sleepsUntil = .past }
            return state.sleepsUntil != .past
        }
        if mustWake { _ = eventfd_write(waker, 1) }
    }
}
