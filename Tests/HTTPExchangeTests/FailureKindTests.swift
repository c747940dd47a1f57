// What is here: the class of every error code of libcurl.

import CLibCurl
import Testing

@testable import HTTPExchange

@Suite struct FailureKindTests {
    @Test func everyCodeHasItsKind() {
        let expected: [FailureKind: [UInt32]] = [
            .invalidRequest: [2, 3, 4, 26, 43, 48, 49, 93],
            .dns: [5, 6],
            .connect: [7, 45, 89, 96, 97],
            .certificate: [60, 83, 90, 91],
            .tls: [35, 53, 54, 58, 59, 64, 66, 77, 80, 82, 98],
            .timeout: [28],
            .reset: [52, 55, 56, 65, 81, 99],
            .tooLarge: [27, 63],
            .cancelled: [42],
        ]
        let known = Dictionary(uniqueKeysWithValues: expected.flatMap { kind, codes in codes.map { ($0, kind) } })
        for code in 1..<CURL_LAST.rawValue {
            #expect(FailureKind(CURLcode(code)) == known[code] ?? .protocolError, "\(code)")
        }
    }

    @Test func recordedNamesAreStable() {
        #expect(
            FailureKind.allCases.map(\.rawValue) == [
                "dns", "connect", "tls", "certificate", "timeout", "reset", "protocol", "too_large", "refused_address",
                "invalid_request", "proxy", "worker", "cancelled",
            ])
    }
}
