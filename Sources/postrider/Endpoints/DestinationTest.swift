// One test request to a destination, as `postrider endpoints test` sends it.

internal import FoundationEssentials
internal import HTTPExchange
internal import Outbox
internal import OutboxWorker

/// A test event, sent once and not recorded.
struct DestinationTest {
    let isDelivered: Bool
    let summary: String
    /// What came of it for machines, in the words of attempts; not to which destination.
    let document: Document

    /// The type of the test event.
    static let eventType = "postrider.test"

    /// Sends the request and judges the answer as a worker would.
    ///
    /// - Throws: `RequestError` when it cannot be built; `ExchangerError`.
    static func send(to destination: Destination, _ settings: Settings) async throws -> DestinationTest {
        let now = Date().timeIntervalSince1970
        var random = SystemRandomNumberGenerator()
        let id = EventID(
            high: UInt64(now * 1000) << 16 | 0x7000 | random.next() & 0xFFF,
            low: random.next() & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000)
        let event = Event(
            id: id, type: eventType, createdAtMicroseconds: Int64(now * 1_000_000),
            organization: destination.organization,
            user: destination.user, recordID: nil, orderingKey: nil, priority: 1, data: Array(#"{"test": true}"#.utf8))
        var builder = RequestBuilder()
        let prepared = try builder.request(
            event: event, destination: destination, deliveryID: DeliveryID.text(event: id, destination: destination.id),
            attempt: 1, unixSeconds: Int64(now))
        return try await send(prepared, to: destination, settings)
    }

    /// Sends a request that was built for a destination.
    ///
    /// - Throws: `ExchangerError`.
    static func send(
        _ prepared: PreparedRequest, to destination: Destination, _ settings: Settings
    ) async throws -> DestinationTest {
        let exchanger = try Exchanger(settings: settings.worker.exchanger) { _ in }
        let exchange = await exchanger.perform(
            Request(
                url: destination.url.text, headers: prepared.headers, body: prepared.body,
                timeout: destination.timeout, allowsHTTP: settings.worker.allowsHTTP,
                route: Route(destination.access)))
        await exchanger.shutdown()
        return DestinationTest(exchange, of: destination)
    }

    private init(_ exchange: Exchange, of destination: Destination) {
        let milliseconds = exchange.timings.total / 1000
        let answered: Document
        switch exchange.result {
        case .response(let response):
            isDelivered = (200...299).contains(response.status)
            let answer = destination.kind == .n8n ? N8nAnswer(status: response.status, body: response.body) : nil
            let excerpt = String(decoding: response.body.prefix(200), as: UTF8.self)
            let text = answer?.explanation ?? excerpt
            summary = "status \(response.status) in \(milliseconds) ms" + (text.isEmpty ? "" : ": \(text)")
            answered = [
                "status_code": response.status, "response_body": excerpt, "error_message": answer?.explanation,
            ]
        case .failure(let failure):
            isDelivered = false
            summary = "\(failure.kind.rawValue) after \(milliseconds) ms: \(failure.message)"
            answered = ["status_code": nil, "response_body": nil, "error_message": failure.message]
        }
        let outcome = Outcome(exchange, unixSeconds: Int64(Date().timeIntervalSince1970))
        let verdict = Verdict.judge(outcome, destination: destination, attempt: 1, random: 0)
        let told: Document = [
            "is_delivered": isDelivered, "duration_us": exchange.timings.total, "failure": verdict.failure?.rawValue,
        ]
        document = told.merging(answered) { $1 }
    }
}
