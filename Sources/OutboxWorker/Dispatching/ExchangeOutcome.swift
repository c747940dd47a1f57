// From an HTTP exchange to the domain's outcome. Called by the dispatcher for every exchange that ended, and by the command that
// tests a destination.

public import HTTPExchange
public import Outbox

extension Outcome {
    /// The outcome of an exchange, in words of the domain.
    ///
    /// - Parameter unixSeconds: when it ended, by which the dates of `Retry-After` are read.
    public init(_ exchange: Exchange, unixSeconds: Int64) {
        switch exchange.result {
        case .failure(let failure):
            self = .failed(ExchangeFailure(rawValue: failure.kind.rawValue) ?? .protocolError)
        case .response(let response) where response.headers.isEmpty:
            self = .answered(Answer(status: response.status, bodyPrefix: Self.prefix(response)))
        case .response(let response):
            self = .answered(
                Answer(
                    status: response.status, headers: response.headers.lazy.map { ($0.name, $0.value) },
                    bodyPrefix: Self.prefix(response), unixSeconds: unixSeconds))
        }
    }

    /// Only a failed answer is looked into: 512 bytes are enough to recognise n8n's.
    private static func prefix(_ response: Response) -> [UInt8] {
        (200...299).contains(response.status) ? [] : Array(response.body.prefix(512))
    }
}
