// What is here: whether the connection of a transfer resumed a TLS session, for the counters.
// Called by: TransferCallbacks before a secure request goes out, while the connection is known.

import CLibCurl
import Glibc

extension Transfer {
    private typealias SessionReused = @convention(c) (UnsafeMutableRawPointer) -> Int32

    /// OpenSSL's `SSL_session_reused(3)`; libcurl has brought the library into the process, and has no word for this
    /// itself. Nil with another TLS library.
    private static let sessionReused: SessionReused? = {
        // The handle RTLD_DEFAULT, a null pointer.
        guard let symbol = dlsym(nil, "SSL_session_reused") else { return nil }
        return unsafeBitCast(symbol, to: SessionReused.self)
    }()

    /// Counts the handshake when this transfer made one.
    func lookAtTLS() {
        var connections = 0
        clibcurl_easy_get_long(easy, CURLINFO_NUM_CONNECTS, &connections)
        guard connections > 0 else { return }
        sockets.counters.tlsHandshakes.increment()
        var info: UnsafeMutablePointer<curl_tlssessioninfo>?
        clibcurl_easy_get_tls(easy, &info)
        guard let info, info.pointee.backend == CURLSSLBACKEND_OPENSSL, let session = info.pointee.internals else {
            return
        }
        if Self.sessionReused?(session) == 1 { sockets.counters.tlsSessionsReused.increment() }
    }
}
