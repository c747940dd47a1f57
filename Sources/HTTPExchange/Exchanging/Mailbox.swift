// What is here: everything that other threads want from the loop, behind one lock, and the descriptor that wakes it.
// Called by: Exchanger and name lookups from any thread; emptied by the loop.

import CLibCurl
import Glibc
import Synchronization

/// What was posted since the loop looked last.
struct Mail: Sendable {
    var batches: [[Request]] = []
    var performed: [Job] = []
    var answers: [LookupAnswer] = []
    var cancelledReplies: [UInt64] = []
    private(set) var cancelsAll = false
    /// How many of the batches, and of the performed requests, came before everything was cancelled.
    private(set) var cancelledBatches = 0
    private(set) var cancelledJobs = 0
    var stops = false

    /// Whether nothing at all was posted.
    var isEmpty: Bool {
        batches.isEmpty && performed.isEmpty && answers.isEmpty && !cancels && !stops
    }

    /// Cancels everything there is, and all of this mail so far.
    mutating func cancelAll() {
        cancelsAll = true
        cancelledBatches = batches.count
        cancelledJobs = performed.count
    }

    /// Whether anything is to be cancelled.
    var cancels: Bool { cancelsAll || !cancelledReplies.isEmpty }
}

/// The loop's letter box.
final class Mailbox: Sendable {
    private struct Contents {
        var mail = Mail()
        var isAsleep = false
        var isClosed = false
        var waitingForEnd: [CheckedContinuation<Void, Never>] = []
    }

    private let contents = Mutex(Contents())

    /// The `eventfd(2)` that the loop's epoll watches.
    let wakeDescriptor: Int32

    /// - Throws: `ExchangerError` when the kernel gives no descriptor.
    init() throws(ExchangerError) {
        wakeDescriptor = eventfd(0, Int32(EFD_NONBLOCK) | Int32(EFD_CLOEXEC))
        guard wakeDescriptor >= 0 else { throw ExchangerError(operation: "eventfd", code: errno) }
    }

    deinit { close(wakeDescriptor) }

    /// Adds to the mail and wakes the loop when it sleeps. False, and nothing done, once the loop has ended.
    func post(_ add: (inout Mail) -> Void) -> Bool {
        let (accepted, mustWake) = contents.withLock { contents in
            guard !contents.isClosed else { return (false, false) }
            add(&contents.mail)
            defer { contents.isAsleep = false }
            return (true, contents.isAsleep)
        }
        if mustWake {
            var one: UInt64 = 1
            // Can only fail when the counter is full, and then the loop is being woken anyway.
            _ = write(wakeDescriptor, &one, MemoryLayout<UInt64>.size)
        }
        return accepted
    }

    /// Takes all mail out. The loop only.
    func take() -> Mail {
        contents.withLock { contents in
            contents.isAsleep = false
            guard !contents.mail.isEmpty else { return Mail() }
            let mail = contents.mail
            contents.mail = Mail()
            return mail
        }
    }

    /// Whether the loop may sleep: nothing is waiting, and from now on posting wakes it. The loop only.
    func fallAsleep() -> Bool {
        contents.withLock { contents in
            contents.isAsleep = contents.mail.isEmpty
            return contents.isAsleep
        }
    }

    /// Refuses all further mail, returns the last, and lets everyone who awaits the end go on. The loop only.
    func close() -> Mail {
        let (mail, waiting) = contents.withLock { contents in
            contents.isClosed = true
            defer {
                contents.mail = Mail()
                contents.waitingForEnd = []
            }
            return (contents.mail, contents.waitingForEnd)
        }
        waiting.forEach { $0.resume() }
        return mail
    }

    /// Waits until the loop has closed the mailbox; returns at once when it has.
    func end() async {
        await withCheckedContinuation { continuation in
            let isClosed = contents.withLock { contents in
                if !contents.isClosed { contents.waitingForEnd.append(continuation) }
                return contents.isClosed
            }
            if isClosed { continuation.resume() }
        }
    }

    private func close(_ descriptor: Int32) { _ = Glibc.close(descriptor) }
}
