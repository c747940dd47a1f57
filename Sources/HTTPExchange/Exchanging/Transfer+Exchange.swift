// What is here: what became of a transfer, as the value that goes back to the caller. Called by: Loop+Requests.

import CLibCurl

extension Transfer {
    /// The outcome after libcurl ended with this code.
    func exchange(_ code: CURLcode) -> Exchange {
        let times = CurlTimes(easy)
        let isComplete = (code == CURLE_OK || answer.isCut) && answer.status >= 200
        let failure = isComplete ? nil : failure(code, times)
        let response = answer.takeResponse()
        var result = Exchange.Result.failure(failure ?? .emptyAnswer)
        if failure == nil, let response { result = .response(response) }
        return Exchange(
            token: job?.request.token ?? 0, result: result, partial: failure == nil ? nil : response,
            timings: times.timings(dns: dns, waited: waited),
            reusedConnection: times.connections == 0 && hasConnection, remoteAddress: remoteAddress,
            httpVersion: version)
    }

    private var remoteAddress: String? {
        var text: UnsafePointer<CChar>?
        clibcurl_easy_get_text(easy, CURLINFO_PRIMARY_IP, &text)
        guard let text, text.pointee != 0 else { return nil }
        return String(cString: text)
    }

    private var version: HTTPVersion? {
        var version = 0
        clibcurl_easy_get_long(easy, CURLINFO_HTTP_VERSION, &version)
        switch version {
        case Int(CURL_HTTP_VERSION_1_0): return .http1_0
        case Int(CURL_HTTP_VERSION_1_1): return .http1_1
        case Int(CURL_HTTP_VERSION_2_0): return .http2
        default: return nil
        }
    }
}
