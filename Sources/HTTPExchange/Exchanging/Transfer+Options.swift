// What is here: the options of an easy handle that no request changes, and the callbacks.
// Called by: Transfer when it is made.

import CLibCurl

extension Transfer {
    /// Sets what holds for every request of the exchanger.
    func setLastingOptions() {
        let settings = configuration.settings
        let this = Unmanaged.passUnretained(self).toOpaque()
        clibcurl_easy_set_pointer(easy, CURLOPT_PRIVATE, this)
        clibcurl_easy_set_pointer(easy, CURLOPT_ERRORBUFFER, errorText)
        // Without it libcurl would change the process's handling of SIGPIPE around each call.
        set(CURLOPT_NOSIGNAL, 1)
        // The empty text also keeps http_proxy and its like from the environment out: a proxy would dial for us,
        // behind the address guard's back.
        set(CURLOPT_PROXY, "")
        set(CURLOPT_NOPROXY, "")
        set(CURLOPT_PROXYAUTH, Int(clibcurl_auth_basic))
        // What a proxy says to CONNECT is not the receiver's answer.
        set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
        set(CURLOPT_FOLLOWLOCATION, 0)
        set(CURLOPT_HTTP09_ALLOWED, 0)
        set(CURLOPT_PATH_AS_IS, 1)
        set(CURLOPT_NETRC, 0)
        // Names come from `CURLOPT_RESOLVE` and stay until replaced. A limit would make libcurl walk all of them after
        // each transfer.
        set(CURLOPT_DNS_CACHE_TIMEOUT, -1)
        set(CURLOPT_TCP_KEEPALIVE, 1)
        set(CURLOPT_TCP_KEEPIDLE, 30)
        set(CURLOPT_TCP_KEEPINTVL, 15)
        set(CURLOPT_MAXAGE_CONN, Int(max(1, settings.idleConnectionAge.components.seconds)))
        set(CURLOPT_MAXLIFETIME_CONN, Int(max(1, settings.connectionLifetime.components.seconds)))
        if let agent = settings.userAgent { set(CURLOPT_USERAGENT, agent) }
        setTLS(settings)
    }

    private func setTLS(_ settings: ExchangerSettings) {
        set(CURLOPT_SSL_VERIFYPEER, 1)
        set(CURLOPT_SSL_VERIFYHOST, 2)
        set(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
        allowTickets()
        if let file = settings.caFile { set(CURLOPT_CAINFO, file) }
        // With a folder of authorities libcurl would read the whole store again for each new connection.
        clibcurl_easy_set_text(easy, CURLOPT_CAPATH, nil)
        set(CURLOPT_HTTP_VERSION, settings.http2 ? Int(CURL_HTTP_VERSION_2TLS) : Int(CURL_HTTP_VERSION_1_1))
    }

    /// Installs the callbacks; their context is this transfer, or the socket table for the closing.
    func setCallbacks() {
        let this = Unmanaged.passUnretained(self).toOpaque()
        clibcurl_easy_set_data_function(easy, CURLOPT_WRITEFUNCTION, TransferCallbacks.body)
        clibcurl_easy_set_pointer(easy, CURLOPT_WRITEDATA, this)
        clibcurl_easy_set_data_function(easy, CURLOPT_HEADERFUNCTION, TransferCallbacks.header)
        clibcurl_easy_set_pointer(easy, CURLOPT_HEADERDATA, this)
        clibcurl_easy_set_data_function(easy, CURLOPT_READFUNCTION, TransferCallbacks.read)
        clibcurl_easy_set_pointer(easy, CURLOPT_READDATA, this)
        clibcurl_easy_set_seek_function(easy, TransferCallbacks.seek)
        clibcurl_easy_set_pointer(easy, CURLOPT_SEEKDATA, this)
        clibcurl_easy_set_resolve_function(easy, TransferCallbacks.resolve)
        clibcurl_easy_set_pointer(easy, CURLOPT_RESOLVER_START_DATA, this)
        clibcurl_easy_set_ready_function(easy, TransferCallbacks.ready)
        clibcurl_easy_set_pointer(easy, CURLOPT_PREREQDATA, this)
        clibcurl_easy_set_open_function(easy, SocketCallbacks.open)
        clibcurl_easy_set_pointer(easy, CURLOPT_OPENSOCKETDATA, this)
        clibcurl_easy_set_close_function(easy, SocketCallbacks.close)
        clibcurl_easy_set_pointer(easy, CURLOPT_CLOSESOCKETDATA, Unmanaged.passUnretained(sockets).toOpaque())
    }

    /// Sets a number.
    func set(_ option: CURLoption, _ value: Int) {
        clibcurl_easy_set_long(easy, option, value)
    }

    /// Sets a text, which libcurl copies.
    func set(_ option: CURLoption, _ value: String) {
        clibcurl_easy_set_text(easy, option, value)
    }

    /// Sets a text that ends with NUL, which libcurl copies.
    func set(_ option: CURLoption, _ value: [CChar]) {
        clibcurl_easy_set_text(easy, option, value)
    }
}
