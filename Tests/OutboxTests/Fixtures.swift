// Events and destinations for tests.

import TestSupport
import Testing

@testable import Outbox

enum Fixture {
    static let unixSeconds: Int64 = 1_767_225_600
    static let deliveryID = "018f6b1e-0000-7000-8000-00000000d001"
    static let destinationID = "018f6b1e-0000-7000-8000-00000000e001"
    static let eventID = EventID(high: 0x018F_6B1E_2A3C_7D4E, low: 0x8F50_6172_8394_A5B6)

    static func event(
        _ data: String = #"{"id": 1, "name": "Ana"}"#,
        type: String = "user.created",
        organization: String? = nil
    ) -> Event {
        Event(
            id: eventID, type: type, createdAtMicroseconds: 1_767_225_599_123_999, organization: organization,
            data: Array(data.utf8)
        )
    }

    static func profile(_ name: String) throws -> Profile { try #require(Profile.builtIn[name]) }

    static func secretText(for profile: Profile) -> String {
        switch profile.secretForm {
        case .text: "It's a Secret to Everybody"
        case .prefixedText: "whsec_1234567890abcdef"
        case .standard: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        }
    }

    static func destination(
        _ profileName: String = "standard",
        id: Int32 = 1,
        patterns: [String] = ["*"],
        organization: String? = nil,
        user: String? = nil,
        secrets: [Secret]? = nil,
        headers: [HeaderField] = [],
        retry: RetryPolicy = .standard,
        finalStatuses: FinalStatuses = .none,
        kind: Destination.Kind = .endpoint,
        url: String = "https://example.org/hook"
    ) throws -> Destination {
        let profile = try profile(profileName)
        return try Destination(
            id: id, uuid: destinationID, kind: kind, name: "d\(id)",
            url: DestinationURL(url), patterns: patterns.map { try EventPattern($0) },
            organization: organization, user: user, profile: profile,
            secrets: secrets ?? [Secret(secretText(for: profile), form: profile.secretForm)], headers: headers,
            retry: retry, finalStatuses: finalStatuses
        )
    }

    static func request(_ event: Event, _ destination: Destination) throws -> PreparedRequest {
        var builder = RequestBuilder()
        return try builder.request(
            event: event, destination: destination, deliveryID: deliveryID, attempt: 1, unixSeconds: unixSeconds
        )
    }
}

extension PythonVerifier.Case {
    /// A request of the fixture, twelve seconds after it was sent.
    init(_ request: PreparedRequest, profile: String, secret: String, event: Event) {
        self.init(
            profile: profile, secret: secret, headers: request.headers, body: request.body,
            unixSeconds: Fixture.unixSeconds + 12,
            event: Known(
                id: event.id.description, type: event.type, delivery: Fixture.deliveryID,
                destination: Fixture.destinationID))
    }
}

extension PreparedRequest {
    /// The value of a header, nil when it is not there.
    func value(of name: String) -> String? {
        let lead = name.lowercased() + ": "
        return headers.first { $0.lowercased().hasPrefix(lead) }.map { String($0.dropFirst(lead.count)) }
    }

    var text: String { String(decoding: body, as: UTF8.self) }
}
