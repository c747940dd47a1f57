// The receiver of the proof: outside the workers, one thread over epoll, thousands of requests a second beside everything
// else on two cores. It writes down what arrives and answers as its rule says.

import CLibPQ
import Foundation
import Glibc
import Synchronization
import TestSupport

/// Receives webhooks and writes each down before it is answered.
final class ArrivalReceiver: Sendable {
    /// What the receiver does with a request.
    enum Answer: Sendable {
        case status(Int, afterMilliseconds: Int = 0)
        /// The connection stays open, and nothing is ever said on it.
        case never

        var isAccepted: Bool {
            if case .status(200...299, _) = self { true } else { false }
        }
    }

    /// Decides on an arrival, with how often its mark arrived before. Runs on the receiver's thread.
    typealias Rule = @Sendable (Ledger.Arrival, Int) -> Answer

    let port: UInt16
    private let address: String
    private let waker: Int32
    private let notes = Mutex<[Ledger.Arrival]>([])

    /// Starts a receiver on an address of this machine.
    init(on address: String = "127.0.0.1", rule: @escaping Rule = { _, _ in .status(200) }) throws {
        self.address = address
        waker = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        let listener = try ListeningSocket(on: address)
        port = listener.port
        let loop = ReceiverLoop(listener: listener.descriptor, waker: waker, rule: rule) { [weak self] arrival in
            self?.notes.withLock { $0.append(arrival) }
        }
        // The thread owns the loop; it ends when the waker is written.
        let box = LoopBox(loop)
        Thread.detachNewThread { box.loop.run() }
    }

    deinit { _ = eventfd_write(waker, 1) }

    func url(_ path: String = "/hook") -> String { "http://\(address):\(port)\(path)" }

    /// Everything so far, in order of arrival.
    var arrivals: [Ledger.Arrival] { notes.withLock { $0 } }

    /// How many requests have come.
    var count: Int { notes.withLock { $0.count } }

    /// The first arrival from a place on that satisfies a condition.
    func first(from place: Int = 0, where condition: (Ledger.Arrival) -> Bool) -> Ledger.Arrival? {
        notes.withLock { $0.dropFirst(place).first(where: condition) }
    }

    /// Waits for an arrival.
    func arrival(
        _ what: String, from place: Int = 0, within limit: Duration = .seconds(20), where condition: (Ledger.Arrival) -> Bool
    ) async throws -> Ledger.Arrival {
        let end = ContinuousClock.now + limit
        while ContinuousClock.now < end {
            if let found = first(from: place, where: condition) { return found }
            try await Task.sleep(for: .milliseconds(2))
        }
        throw Timeout(what: what)
    }

    /// The loop is used by its thread alone.
    private final class LoopBox: @unchecked Sendable {
        let loop: ReceiverLoop
        init(_ loop: ReceiverLoop) { self.loop = loop }
    }
}
