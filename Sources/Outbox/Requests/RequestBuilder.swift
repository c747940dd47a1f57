// From an event and a destination to the bytes of a request: the hottest code of the worker (20,000 times a second).
// Owned by one dispatcher; what can be done per destination, per event or per second is done there and kept.

/// Why a request cannot be built. Sending again would not help: the verdict is `invalid_request`.
public enum RequestError: Error, Equatable, CustomStringConvertible {
    /// A value of the event or the delivery has a control character and would break this header.
    case headerValue(header: String)
    /// The profile signs the canonical form, and the payload is not JSON.
    case payloadIsNotJSON(reason: String)
    /// The signature could not be made.
    case signing

    /// The reason in one line, without the value.
    public var description: String {
        switch self {
        case .headerValue(let header): "the value of header \(header.debugDescription) has a control character"
        case .payloadIsNotJSON(let reason): "the payload cannot be signed: \(reason)"
        case .signing: "the signature could not be made"
        }
    }
}

/// Builds requests, remembering key schedules of destinations, bodies of the last event and the text of the second.
///
/// A value for one owner: it is not shared between threads, and may be thrown away at any time. Measured in release
/// mode at two microseconds for a 300-byte payload and profile `standard`.
public struct RequestBuilder: Sendable, CustomStringConvertible, CustomReflectable {
    private struct Body: Sendable {
        let envelope: String
        let bytes: [UInt8]
        var canonical: [UInt8]?
    }

    /// Bodies up to so many bytes are copied behind what is signed before them; 4 KiB.
    private static let smallBody = 4_096

    private let capacity: Int
    private var prepared: [Int32: PreparedDestination] = [:]
    private var event: Event?
    private var eventID: [UInt8] = []
    private var bodies: [Body] = []
    private var second: Int64 = .min
    private var timestamp: [UInt8] = []
    // Buffers that keep their memory between requests.
    private var head: [UInt8] = []
    private var tail: [UInt8] = []
    private var line: [UInt8] = []

    /// Makes a builder that remembers at most `preparedCapacity` destinations, about 1 KiB each; default 8192.
    public init(preparedCapacity: Int = 8192) {
        capacity = max(1, preparedCapacity)
    }

    /// How many destinations are prepared; what was prepared contains credentials and is not shown.
    public var description: String { "RequestBuilder(\(prepared.count) prepared destinations)" }

    /// A mirror without children.
    public var customMirror: Mirror { Mirror(self, children: EmptyCollection<Mirror.Child>()) }

    /// Builds the request of one attempt.
    ///
    /// The body and every header but timestamp and signature are the same for every attempt of a delivery.
    ///
    /// - Parameters:
    ///   - event: The event; calls for the same event are cheapest in a row.
    ///   - destination: The destination.
    ///   - deliveryID: The id of the delivery as receivers shall see it.
    ///   - attempt: The number of this attempt, from 1.
    ///   - unixSeconds: The time of this attempt.
    /// - Throws: `RequestError` when it cannot be sent, now or later.
    public mutating func request(
        event: Event,
        destination: Destination,
        deliveryID: String,
        attempt: Int,
        unixSeconds: Int64
    ) throws(RequestError) -> PreparedRequest {
        try request(
            event, destination, envelope: destination.profile.envelopeTemplate, deliveryID: deliveryID,
            attempt: attempt,
            unixSeconds: unixSeconds)
    }

    /// Builds the request of a batch: a JSON array of `{"id", "type", "timestamp", "data"}` in the order given, whatever
    /// the envelope of the profile. Headers and signature are the profile's, with the batch's own id (``BatchID``) and
    /// the type `batch` in the place of an event's.
    ///
    /// - Parameters:
    ///   - events: The events, at least one.
    ///   - deliveryID: The id of the first event's delivery.
    ///   - attempt: The number of this attempt, the same for all of them.
    /// - Throws: `RequestError` when it cannot be sent, now or later.
    public mutating func batch(
        events: [Event], destination: Destination, deliveryID: String, attempt: Int, unixSeconds: Int64
    ) throws(RequestError) -> PreparedRequest {
        var body: [UInt8] = []
        body.reserveCapacity(events.reduce(2) { $0 + $1.data.count + 160 })
        body.append(UInt8(ascii: "["))
        for (index, event) in events.enumerated() {
            if index > 0 { body.append(UInt8(ascii: ",")) }
            body.append(contentsOf: Envelope.render(Envelope.batchElement, event))
        }
        body.append(UInt8(ascii: "]"))
        let batch = Event(
            id: BatchID.make(of: events.map(\.id)), type: "batch",
            createdAtMicroseconds: events.first?.createdAtMicroseconds ?? 0, data: body)
        return try request(
            batch, destination, envelope: Envelope.bare, deliveryID: deliveryID, attempt: attempt,
            unixSeconds: unixSeconds)
    }

    private mutating func request(
        _ event: Event, _ destination: Destination, envelope: Template, deliveryID: String, attempt: Int,
        unixSeconds: Int64
    ) throws(RequestError) -> PreparedRequest {
        let target = try prepare(destination)
        select(event)
        select(unixSeconds)
        let index = bodyIndex(of: event, in: envelope)
        var values = AttemptValues(
            event: event, eventID: eventID, destinationID: target.destinationID, deliveryID: deliveryID,
            attempt: attempt, unixSeconds: unixSeconds, timestamp: timestamp
        )
        if !target.signers.isEmpty { try sign(bodyIndex: index, for: target, &values) }
        var lines: [String] = []
        lines.reserveCapacity(target.constantLines.count + target.variableHeaders.count)
        lines.append(contentsOf: target.constantLines)
        for header in target.variableHeaders { lines.append(try write(header, values)) }
        if let signer = target.tokenSigner {
            do {
                let body = bodies[index].bytes
                lines.append(try signer.line(body: body, deliveryID: deliveryID, unixSeconds: unixSeconds))
            } catch {
                throw .signing
            }
        }
        return PreparedRequest(headers: lines, body: bodies[index].bytes)
    }

    // MARK: What is remembered

    private mutating func prepare(_ destination: Destination) throws(RequestError) -> PreparedDestination {
        // What was loaded again takes the place of what it was: its credentials are not kept beside the new ones.
        if let known = prepared[destination.id], known.destination === destination { return known }
        // Rare: more destinations are in use than fit. Starting over is cheaper than to keep an order of use.
        if prepared.count >= capacity { prepared.removeAll(keepingCapacity: true) }
        do {
            let target = try PreparedDestination(destination)
            prepared[destination.id] = target
            return target
        } catch {
            throw .signing
        }
    }

    private mutating func select(_ next: Event) {
        // Events are immutable in the outbox, but nothing here makes sure of it: what a body is made of is compared.
        if let event, event.id == next.id, event.data == next.data, event.type == next.type,
            event.createdAtMicroseconds == next.createdAtMicroseconds, event.organization == next.organization,
            event.user == next.user, event.recordID == next.recordID
        {
            return
        }
        event = next
        bodies.removeAll(keepingCapacity: true)
        eventID.removeAll(keepingCapacity: true)
        next.id.append(to: &eventID)
    }

    private mutating func select(_ unixSeconds: Int64) {
        guard unixSeconds != second else { return }
        second = unixSeconds
        timestamp.removeAll(keepingCapacity: true)
        Timestamp.appendDecimal(unixSeconds, to: &timestamp)
    }

    private mutating func bodyIndex(of event: Event, in envelope: Template) -> Int {
        if let index = bodies.firstIndex(where: { $0.envelope == envelope.text }) { return index }
        bodies.append(Body(envelope: envelope.text, bytes: Envelope.render(envelope, event)))
        return bodies.count - 1
    }

    // MARK: Signature and headers

    private mutating func sign(
        bodyIndex index: Int,
        for target: PreparedDestination,
        _ values: inout AttemptValues
    ) throws(RequestError) {
        if target.signsCanonicalBody { try makeCanonical(bodyIndex: index) }
        head.removeAll(keepingCapacity: true)
        tail.removeAll(keepingCapacity: true)
        values.append(target.head, to: &head)
        values.append(target.tail, to: &tail)
        var body = target.signsCanonicalBody ? bodies[index].canonical ?? [] : bodies[index].bytes
        // Each piece that goes into a hash costs 2,400 instructions beside those of the hash: Crypto takes it through
        // generic code that is not specialised. To copy a small body costs a hundred.
        if body.count <= Self.smallBody {
            head.append(contentsOf: body)
            head.append(contentsOf: tail)
            body = []
            tail.removeAll(keepingCapacity: true)
        }
        for (position, signer) in target.signers.enumerated() {
            if position > 0 { values.signature.append(contentsOf: target.separator) }
            do {
                try signer.appendSignature(head: head, body: body, tail: tail, to: &values.signature)
            } catch {
                throw .signing
            }
        }
    }

    private mutating func makeCanonical(bodyIndex index: Int) throws(RequestError) {
        guard bodies[index].canonical == nil else { return }
        do {
            bodies[index].canonical = try PythonJSON.canonical(bodies[index].bytes)
        } catch {
            throw .payloadIsNotJSON(reason: error.description)
        }
    }

    private mutating func write(
        _ header: PreparedDestination.VariableHeader,
        _ values: AttemptValues
    ) throws(RequestError) -> String {
        line.removeAll(keepingCapacity: true)
        line.append(contentsOf: header.lead)
        values.append(header.value.segments, to: &line)
        guard HeaderField.areValueBytes(line) else {
            throw .headerValue(header: String(decoding: header.lead.dropLast(2), as: UTF8.self))
        }
        return String(decoding: line, as: UTF8.self)
    }
}
