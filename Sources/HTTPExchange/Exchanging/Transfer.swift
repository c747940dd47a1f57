// What is here: one libcurl easy handle with all that a running request needs; used again for the next request.
// Called by: Loop, and by libcurl through TransferCallbacks.

import CLibCurl

/// Collects hosts of which one more transfer has its connection, or has ended: others that wait may start.
final class SettledHosts {
    var hosts: [Host] = []
}

/// An easy handle and the request it carries. The loop's thread only.
///
/// Options that never change are set once; of the others, those that differ from the previous request, because
/// `curl_easy_reset` and setting all of them again costs as much as the rest of a small request.
final class Transfer {
    /// The options of one exchanger that every handle gets.
    struct Configuration {
        let settings: ExchangerSettings
        let keptHeaders: [[UInt8]]

        init(_ settings: ExchangerSettings) {
            self.settings = settings
            keptHeaders = settings.keptHeaders.map { Array($0.lowercased().utf8) }
        }
    }

    let easy: UnsafeMutableRawPointer
    let configuration: Configuration
    // The loop owns both of these and outlives every transfer.
    unowned(unsafe) let sockets: SocketTable
    let memory = RequestMemory()
    /// 256 bytes (`CURL_ERROR_SIZE`) for libcurl's description of an error.
    let errorText: UnsafeMutablePointer<CChar>

    /// Where the transfer stands in the loop's list of active ones.
    var position = 0
    private(set) var job: Job?
    private(set) var target: Target?
    /// Microseconds that passed before libcurl got the request.
    private(set) var waited = 0
    /// Microseconds of them that went to the name lookup.
    private(set) var dns = 0
    var answer = Answer(bodyLimit: 0, hardLimit: 0)
    /// How much of a large body has been read.
    var bodyOffset = 0
    /// Whether the address guard refused the address to be dialed.
    var wasRefused = false
    /// Whether the kernel gave no socket for want of descriptors or memory.
    var lacksSocket = false
    /// Whether a socket was opened and no TCP connection has come about. libcurl tells of it only when TLS, and what a proxy is
    /// asked for, are through as well; but before, it waits for nothing to read.
    var isDialing = false
    /// Whether there is a connection and the request is on its way over it.
    var hasConnection = false
    /// Whether the handle must not be used again.
    ///
    /// libcurl 7.88 counts how often it repeated a request because a kept connection had died, and gives up at five;
    /// the count is the handle's, and the next request begins with it.
    var isSpent = false
    /// The loop's list of hosts where others may start now.
    unowned(unsafe) let settled: SettledHosts

    private var applied = Applied()
    private var pins: UnsafeMutablePointer<curl_slist>?
    /// Whether addresses travel with this transfer.
    var bringsPins: Bool { pins != nil }

    /// What the handle's options are at the moment.
    private struct Applied {
        var method: String?
        var hasNoBody = false
        var timeout = -1
        var connectTimeout = -1
        var allowsHTTP: Bool?
        var route: Route?
    }

    /// Nil when libcurl has no memory for a handle.
    init?(_ configuration: Configuration, sockets: SocketTable, settled: SettledHosts) {
        guard let easy = curl_easy_init() else { return nil }
        self.easy = easy
        self.configuration = configuration
        self.sockets = sockets
        self.settled = settled
        errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
        errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        setLastingOptions()
        setCallbacks()
    }

    deinit {
        curl_easy_cleanup(easy)
        curl_slist_free_all(pins)
        errorText.deallocate()
    }

    /// Sets the handle up for one request.
    ///
    /// `pins` makes the list for `CURLOPT_RESOLVE`; it is asked last, since libcurl must see what it gives out.
    /// - Throws: `Failure` of kind `.invalidRequest`; the transfer must be cleared then as after a request.
    func prepare(_ entry: Waiting, now: Int64, pins: () -> UnsafeMutablePointer<curl_slist>?) throws(Failure) {
        let request = entry.job.request
        let target = entry.target
        job = entry.job
        waited = Int((now - entry.startedAt) / 1_000)
        dns = entry.dns
        answer = Answer(bodyLimit: request.responseLimit, hardLimit: request.responseHardLimit)
        bodyOffset = 0
        wasRefused = false
        lacksSocket = false
        isDialing = false
        hasConnection = false
        if self.target !== target {
            set(CURLOPT_URL, target.url)
            self.target = target
        }
        if target.isSecure { clibcurl_easy_set_pointer(easy, CURLOPT_SHARE, target.host.sessions()) }
        if applied.route !== request.route {
            apply(request.route)
            applied.route = request.route
        }
        try memory.fill(headers: request.headers, body: request.body)
        clibcurl_easy_set_list(easy, CURLOPT_HTTPHEADER, memory.list)
        try setMethod(request)
        setLimits(request)
        if let pins = pins() {
            self.pins = pins
            clibcurl_easy_set_list(easy, CURLOPT_RESOLVE, pins)
        }
    }

    /// Lets go of everything that belongs to the request.
    func clear() {
        job = nil
        answer = Answer(bodyLimit: 0, hardLimit: 0)
        if target?.isSecure == true { clibcurl_easy_set_pointer(easy, CURLOPT_SHARE, nil) }
        if pins != nil {
            clibcurl_easy_set_list(easy, CURLOPT_RESOLVE, nil)
            curl_slist_free_all(pins)
            pins = nil
        }
    }

    private func setMethod(_ request: Request) throws(Failure) {
        let hasBody = !request.body.isEmpty
        let isPlain = !hasBody && (request.method == "GET" || request.method == "HEAD")
        if request.method != applied.method || applied.hasNoBody != isPlain {
            guard !request.method.isEmpty, request.method.utf8.allSatisfy({ HeaderLine.isToken[Int($0)] }) else {
                throw Failure(kind: .invalidRequest, message: "the method is not a token")
            }
            let isHead = request.method == "HEAD"
            // Leaving NOBODY turns the handle into a GET, so it comes before the method.
            set(CURLOPT_NOBODY, isHead ? 1 : 0)
            if !isHead { set(isPlain ? CURLOPT_HTTPGET : CURLOPT_POST, 1) }
            let isBuiltIn = isPlain || request.method == "POST"
            clibcurl_easy_set_text(easy, CURLOPT_CUSTOMREQUEST, isBuiltIn ? nil : request.method)
            applied.method = request.method
            applied.hasNoBody = isPlain
        }
        guard !isPlain else { return }
        let isSmall = request.body.count <= RequestMemory.smallBody
        clibcurl_easy_set_pointer(easy, CURLOPT_POSTFIELDS, isSmall ? memory.body : nil)
        clibcurl_easy_set_offset(easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(request.body.count))
    }

    private func setLimits(_ request: Request) {
        // libcurl takes 0 for "no limit".
        let timeout = max(1, Int(request.timeout.nanoseconds / 1_000_000) - waited / 1_000)
        let connectTimeout = max(1, Int(request.connectTimeout.nanoseconds / 1_000_000) - dns / 1_000)
        if timeout != applied.timeout {
            set(CURLOPT_TIMEOUT_MS, min(timeout, Int(Int32.max)))
            applied.timeout = timeout
        }
        if connectTimeout != applied.connectTimeout {
            set(CURLOPT_CONNECTTIMEOUT_MS, min(connectTimeout, Int(Int32.max)))
            applied.connectTimeout = connectTimeout
        }
        if request.allowsHTTP != applied.allowsHTTP {
            set(CURLOPT_PROTOCOLS_STR, request.allowsHTTP ? "http,https" : "https")
            applied.allowsHTTP = request.allowsHTTP
        }
    }
}
