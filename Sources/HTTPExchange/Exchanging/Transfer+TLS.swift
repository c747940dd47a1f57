// What is here: what of TLS libcurl has no option for: session tickets of TLS 1.2, and whether a session was resumed.
// Called by: Transfer when it is made, TransferCallbacks before a secure request goes out, while the connection is known.

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

    private typealias ClearOptions = @convention(c) (UnsafeMutableRawPointer, UInt64) -> UInt64

    /// OpenSSL's `SSL_CTX_clear_options(3)`; nil when libcurl uses another TLS library, whose contexts are none of
    /// OpenSSL's, even if libpq has brought OpenSSL in.
    private static let clearOptions: ClearOptions? = {
        guard let version = curl_version_info(CURLVERSION_FIRST)?.pointee.ssl_version,
            String(cString: version).hasPrefix("OpenSSL/"), let symbol = dlsym(nil, "SSL_CTX_clear_options")
        else { return nil }
        return unsafeBitCast(symbol, to: ClearOptions.self)
    }()

    /// Asks for session tickets in TLS 1.2 as well. libcurl switches them off (`SSL_OP_NO_TICKET`, since 2008) and takes
    /// up only sessions that the receiver remembers by their id, which nginx and others do not do unless told to.
    func allowTickets() {
        guard Self.clearOptions != nil else { return }
        clibcurl_easy_set_context_function(easy) { _, context, _ in
            // SSL_OP_NO_TICKET of openssl/ssl.h, the same bit in 1.1 and 3.
            if let context { _ = Transfer.clearOptions?(context, 1 << 14) }
            return CURLE_OK
        }
    }

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
