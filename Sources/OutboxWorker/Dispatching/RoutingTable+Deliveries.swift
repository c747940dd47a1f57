// From an event of a claim to its deliveries: who wants it, and what each gets. Called by the dispatcher.

internal import Outbox
internal import OutboxStore

extension RoutingTable {
    /// The deliveries of one event that are still to be made.
    ///
    /// A retry has its destination and is not filtered again, unless it was never tried: it may be asked for the first time,
    /// because it waited for its turn in an ordering key, was given back unread, or comes from a worker that lacked a key or a
    /// setting. One that is filtered out, and what is filtered out of a key, is given all the same, as a delivery that is not
    /// sent: the events behind it may wait for it. Payloads are parsed at most once, and only when a destination that matches
    /// has a filter or a template: one that cannot be parsed passes every filter, since a delivery too many can be seen. What was
    /// meant for a destination that is of another organization or user now is given to be recorded, and not sent.
    ///
    /// - Parameter readsPayload: false for a payload that is not there, or that workers may have died of: filters and
    ///   transforms are left out then.
    func deliveries(
        of work: Claim.Work, claim: Int64, settled: Set<DeliveryKey>, readsPayload: Bool
    ) -> [Delivery] {
        // What is erased or sealed is not looked into.
        let fault = work.fault.map { Parcel.Unready.fault($0) }
        let unready: Parcel.Unready? = fault ?? (work.event.isErased ? .erased : work.event.isSealed ? .sealed : nil)
        let readsPayload = readsPayload && unready == nil
        let parcel = Parcel(event: work.event, claim: claim, unready: unready)
        if let target = work.target {
            // A destination that was deleted meanwhile gets nothing more.
            guard let destination = self[target.destination] else { return [] }
            func delivery(_ parcel: Parcel) -> Delivery {
                Delivery(
                    parcel: parcel, destination: destination.id, attempt: target.attempt, isReplay: target.isReplay)
            }
            guard destination.serves(work.event) || work.event.isErased else {
                return [delivery(Parcel(event: work.event, claim: claim, unready: .foreign))]
            }
            var payload = LazyPayload(work.event.data)
            var own = readsPayload && readsPayloads ? payload.parcel(parcel, for: destination) : parcel
            let isUntried = target.attempt == 1 && !target.isReplay
            if isUntried, readsPayload, !payload.passes(destination) {
                own = Parcel(event: work.event, claim: claim, unready: .filteredOut)
            }
            return [delivery(own)]
        }
        let wanted = destinations(for: work.event).lazy
            .filter { settled.isEmpty || !settled.contains(DeliveryKey(event: work.event.id, destination: $0.id)) }
        guard readsPayload, readsPayloads else {
            return wanted.map { Delivery(parcel: parcel, destination: $0.id, attempt: 1) }
        }
        var payload = LazyPayload(work.event.data)
        return wanted.compactMap { destination in
            guard payload.passes(destination) else {
                guard destination.isOrdered, work.event.orderingKey != nil else { return nil }
                let parcel = Parcel(event: work.event, claim: claim, unready: .filteredOut)
                return Delivery(parcel: parcel, destination: destination.id, attempt: 1)
            }
            return Delivery(
                parcel: payload.parcel(parcel, for: destination), destination: destination.id, attempt: 1)
        }
    }
}

/// A payload, parsed when somebody first looks into it.
private struct LazyPayload {
    private let data: [UInt8]
    private var parsed: Result<ParsedPayload, PayloadError>?

    init(_ data: [UInt8]) { self.data = data }

    private mutating func open() throws(PayloadError) -> ParsedPayload {
        if let parsed { return try parsed.get() }
        let result = Result { () throws(PayloadError) in try ParsedPayload(parsing: data) }
        parsed = result
        return try result.get()
    }

    /// Whether a destination's filter lets it through.
    mutating func passes(_ destination: Destination) -> Bool {
        guard let filter = destination.options.filter, let payload = try? open() else { return true }
        return filter.matches(payload)
    }

    /// The parcel for a destination: the one for all, or with a payload of its own.
    mutating func parcel(_ parcel: Parcel, for destination: Destination) -> Parcel {
        let options = destination.options
        guard options.template != nil || options.transformFunction != nil else { return parcel }
        var event = parcel.event
        do {
            if let template = options.template { event.data = try template.apply(to: open()) }
        } catch {
            return Parcel(event: event, claim: parcel.claim, unready: .fault("\(error)"))
        }
        let needsFunction = options.transformFunction != nil
        return Parcel(
            event: event, claim: parcel.claim, unready: needsFunction ? .function(of: destination) : nil)
    }
}
