// What is here: client certificate, authorities and proxy of one request on an easy handle, and what a proxy did wrong.
// Called by: Transfer for requests whose route differs from the one before; Transfer.failure.

import CLibCurl

extension Transfer {
    /// Sets what a route asks for, and takes back what the one before asked for.
    func apply(_ route: Route?) {
        // With the key behind it, which is passed over there: of two requests libcurl compares certificates only before it lets
        // them share a connection or a session.
        setBlob(CURLOPT_SSLCERT_BLOB, route?.certificate.map { $0 + [UInt8(ascii: "\n")] + (route?.key ?? []) })
        setBlob(CURLOPT_SSLKEY_BLOB, route?.key)
        setBlob(CURLOPT_CAINFO_BLOB, route?.authority)
        let proxy = route?.proxy
        // The empty text keeps http_proxy and its like from the environment out: see setLastingOptions.
        set(CURLOPT_PROXY, proxy.map { "\($0.host):\($0.port)" } ?? "")
        set(CURLOPT_PROXYTYPE, Int((proxy?.kind == .socks5h ? CURLPROXY_SOCKS5_HOSTNAME : CURLPROXY_HTTP).rawValue))
        clibcurl_easy_set_text(easy, CURLOPT_PROXYUSERNAME, proxy?.username)
        clibcurl_easy_set_text(easy, CURLOPT_PROXYPASSWORD, proxy?.password)
    }

    /// libcurl copies the bytes; nil takes them away.
    private func setBlob(_ option: CURLoption, _ bytes: [UInt8]?) {
        guard let bytes else {
            clibcurl_easy_set_blob(easy, option, nil, 0)
            return
        }
        bytes.withUnsafeBytes { _ = clibcurl_easy_set_blob(easy, option, $0.baseAddress, $0.count) }
    }

    /// What went wrong on the way through a proxy, before there was a way to the receiver; nil when that is not it.
    func proxyFailure(_ code: CURLcode) -> Failure? {
        guard target?.isProxied == true, !hasConnection else { return nil }
        var status = 0
        clibcurl_easy_get_long(easy, CURLINFO_HTTP_CONNECTCODE, &status)
        if status >= 300 {
            // 5xx is how proxies say that the receiver cannot be reached; the rest is between us and the proxy.
            return Failure(
                kind: status >= 500 ? .connect : .proxy, message: "the proxy answered CONNECT with \(status)")
        }
        let isUnanswered = status == 0 && makesTunnel
        switch code {
        case CURLE_COULDNT_CONNECT, CURLE_COULDNT_RESOLVE_PROXY:
            return Failure(kind: .proxy, message: "the proxy cannot be reached")
        case CURLE_OPERATION_TIMEDOUT where isDialing:
            return Failure(
                kind: .proxy, message: "the proxy cannot be reached: the time ran out while connecting to it")
        case CURLE_RECV_ERROR where isUnanswered, CURLE_SEND_ERROR where isUnanswered,
            CURLE_GOT_NOTHING where isUnanswered:
            return Failure(kind: .proxy, message: "the proxy ended the connection before it answered CONNECT")
        case CURLE_PROXY: return socksFailure()
        default: return nil
        }
    }

    /// Whether the proxy is asked by CONNECT first, and the receiver cannot have answered before it.
    private var makesTunnel: Bool { target?.isSecure == true && job?.request.route?.proxy?.kind == .http }

    private func socksFailure() -> Failure {
        var reply = 0
        clibcurl_easy_get_long(easy, CURLINFO_PROXY_ERROR, &reply)
        switch CURLproxycode(UInt32(reply)) {
        case CURLPX_REPLY_HOST_UNREACHABLE, CURLPX_REPLY_NETWORK_UNREACHABLE, CURLPX_REPLY_CONNECTION_REFUSED,
            CURLPX_REPLY_TTL_EXPIRED:
            return Failure(kind: .connect, message: "the proxy cannot reach the receiver (SOCKS error \(reply))")
        default: return Failure(kind: .proxy, message: "the proxy refuses (SOCKS error \(reply))")
        }
    }
}
