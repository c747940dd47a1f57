// What is here: libcurl's cumulative times of one transfer, and what they say. Called by: Loop when a transfer ended.

import CLibCurl

/// Microseconds from the transfer's start to the end of each phase; 0 for a phase that was not reached.
struct CurlTimes {
    let named: Int
    let connected: Int
    let secured: Int
    let firstByte: Int
    let total: Int
    /// Connections made for this transfer; 0 when it used an open one.
    let connections: Int

    init(_ easy: UnsafeMutableRawPointer) {
        var count = 0
        clibcurl_easy_get_long(easy, CURLINFO_NUM_CONNECTS, &count)
        connections = count
        named = Self.time(easy, CURLINFO_NAMELOOKUP_TIME_T)
        connected = Self.time(easy, CURLINFO_CONNECT_TIME_T)
        secured = Self.time(easy, CURLINFO_APPCONNECT_TIME_T)
        firstByte = Self.time(easy, CURLINFO_STARTTRANSFER_TIME_T)
        total = Self.time(easy, CURLINFO_TOTAL_TIME_T)
    }

    /// The phases, with the microseconds that passed before libcurl's own start: the lookup, and the wait for a place.
    func timings(dns: Int, waited: Int) -> Timings {
        let isNew = connections > 0
        return Timings(
            dns: dns, connect: isNew ? max(0, connected - named) : 0,
            tls: isNew && secured > 0 ? max(0, secured - connected) : 0,
            firstByte: firstByte > 0 ? waited + firstByte : 0, total: waited + total)
    }

    /// A sentence about the phase in which the time ran out.
    func phaseUnderWay(hasSent: Bool, isSecure: Bool) -> String {
        if firstByte > 0 { return "the time ran out while the answer was read" }
        if hasSent { return "the time ran out before the answer began" }
        // libcurl sets the time of the TCP handshake only when the TLS handshake has ended as well.
        return isSecure ? "the time ran out in the TCP or TLS handshake" : "the time ran out while connecting"
    }

    private static func time(_ easy: UnsafeMutableRawPointer, _ info: CURLINFO) -> Int {
        var value: curl_off_t = 0
        clibcurl_easy_get_offset(easy, info, &value)
        return Int(value)
    }
}
