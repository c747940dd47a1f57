// Deliveries whose payload is not what is sent: those that a function has to make first, and those that cannot be made.

internal import Outbox
internal import OutboxStore

/// What became of a payload that a function had to make.
enum Transformed: Sendable {
    /// This is sent.
    case data([UInt8])
    /// The function gave null: nothing is sent to this destination.
    case dropped
    /// It failed; why.
    case failed(String)
    /// It was not called; the delivery is due again after so many milliseconds.
    case later(Int64)
}

extension DispatchState {
    /// Keeps a delivery until its payload is made, with its claim held open, or settles one whose payload cannot be made.
    mutating func setAside(_ delivery: Delivery, _ unready: Parcel.Unready, _ now: Int64) {
        switch unready {
        case .fault(let reason): return fail(delivery, reason, random: 0, now)
        case .filteredOut: return endTurn(of: delivery)
        case .sealed: return snooze(delivery, .retry(afterMilliseconds: Self.sealedDelay))
        case .erased, .foreign: return
        case .function: break
        }
        open(claim: delivery.parcel.claim, now: now)
        transforming += 1
        payloadBytes += delivery.parcel.event.data.count
        untransformed.append(delivery)
    }

    /// Takes the deliveries that were set aside; each comes back by ``transformed(_:_:random:now:)``.
    mutating func takeUntransformed() -> [Delivery] {
        guard !untransformed.isEmpty else { return [] }
        defer { untransformed = [] }
        return untransformed
    }

    /// Goes on with a delivery that was set aside.
    mutating func transformed(_ delivery: Delivery, _ result: Transformed, random: Double, now: Int64) {
        transforming -= 1
        payloadBytes -= delivery.parcel.event.data.count
        defer { close(claim: delivery.parcel.claim) }
        // Made for what the destination was: claimed again, it is filtered and made as the destination is now.
        if case .function(let old) = delivery.parcel.unready, let destination = routing[old.id],
            !destination.isRouted(like: old)
        {
            return snooze(delivery, destination.isEnabled ? .retry(afterMilliseconds: 0) : rest(at: old.id))
        }
        switch result {
        case .data(let data):
            var event = delivery.parcel.event
            event.data = data
            let parcel = Parcel(event: event, claim: delivery.parcel.claim)
            enqueue(
                Delivery(
                    parcel: parcel, destination: delivery.destination, attempt: delivery.attempt,
                    isReplay: delivery.isReplay), now)
        case .dropped: drop(delivery, .dropped, "the transform gave null", now)
        case .failed(let reason): fail(delivery, reason, random: random, now)
        case .later(let milliseconds): snooze(delivery, .retry(afterMilliseconds: milliseconds))
        }
    }

    /// A payload that this worker cannot open is due again for the others after this long; 10 s.
    static let sealedDelay: Int64 = 10_000

    /// Lets go of a delivery that is not sent to anybody, which is recorded.
    mutating func drop(_ delivery: Delivery, _ failure: FailureClass, _ reason: String, _ now: Int64) {
        let attempt = FinishedAttempt(
            event: delivery.parcel.event.id, destination: delivery.destination, number: delivery.attempt, duration: 0,
            endedAt: now, body: nil)
        settlement.fail(
            attempt, status: nil, failure: failure.rawValue, message: reason, next: .drop,
            claim: delivery.parcel.claim)
        endTurn(of: delivery)
    }

    /// A destination that was deleted meanwhile is not told of.
    private mutating func fail(_ delivery: Delivery, _ reason: String, random: Double, _ now: Int64) {
        guard let destination = routing[delivery.destination] else { return }
        let verdict = Verdict.judge(
            .untransformed, destination: destination, attempt: Int(delivery.attempt), random: random)
        apply(
            verdict, to: delivery, EndedExchange(duration: 0, status: nil, body: [], message: reason), kept: 0,
            now: now)
    }
}
