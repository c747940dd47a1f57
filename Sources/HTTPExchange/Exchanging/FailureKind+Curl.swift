// What is here: libcurl's error codes as failure kinds and sentences. Called by: Loop for each exchange that failed.

import CLibCurl

extension FailureKind {
    /// The kind of failure that a libcurl code stands for. Source: `libcurl-errors(3)`; codes that HTTP cannot bring
    /// count as protocol errors.
    init(_ code: CURLcode) {
        switch code {
        case CURLE_URL_MALFORMAT, CURLE_FAILED_INIT, CURLE_NOT_BUILT_IN, CURLE_BAD_FUNCTION_ARGUMENT,
            CURLE_UNKNOWN_OPTION, CURLE_SETOPT_OPTION_SYNTAX, CURLE_READ_ERROR, CURLE_RECURSIVE_API_CALL:
            self = .invalidRequest
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY:
            self = .dns
        case CURLE_COULDNT_CONNECT, CURLE_INTERFACE_FAILED, CURLE_NO_CONNECTION_AVAILABLE, CURLE_PROXY,
            CURLE_QUIC_CONNECT_ERROR:
            self = .connect
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_PINNEDPUBKEYNOTMATCH,
            CURLE_SSL_INVALIDCERTSTATUS:
            self = .certificate
        case CURLE_SSL_CONNECT_ERROR, CURLE_SSL_ENGINE_NOTFOUND, CURLE_SSL_ENGINE_SETFAILED, CURLE_SSL_CERTPROBLEM,
            CURLE_SSL_CIPHER, CURLE_USE_SSL_FAILED, CURLE_SSL_ENGINE_INITFAILED, CURLE_SSL_CACERT_BADFILE,
            CURLE_SSL_SHUTDOWN_FAILED, CURLE_SSL_CRL_BADFILE, CURLE_SSL_CLIENTCERT:
            self = .tls
        case CURLE_OPERATION_TIMEDOUT:
            self = .timeout
        case CURLE_GOT_NOTHING, CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_SEND_FAIL_REWIND, CURLE_AGAIN,
            CURLE_UNRECOVERABLE_POLL:
            self = .reset
        case CURLE_OUT_OF_MEMORY, CURLE_FILESIZE_EXCEEDED, .tooLarge:
            // A single header line over 100 kB ends in CURLE_OUT_OF_MEMORY before 8.6: libcurl's buffer for it has that limit.
            self = .tooLarge
        case CURLE_ABORTED_BY_CALLBACK:
            self = .cancelled
        default:
            self = .protocolError
        }
    }
}

extension CURLcode {
    /// `CURLE_TOO_LARGE`, which the headers of libcurl have from 8.6 on.
    fileprivate static let tooLarge = CURLcode(rawValue: 100)
}

extension Transfer {
    /// The failure of an exchange that ended with this code.
    func failure(_ code: CURLcode, _ times: CurlTimes) -> Failure {
        if code == CURLE_OK { return .emptyAnswer }
        if wasRefused { return .refusedAddress }
        switch answer.fault {
        case .headersTooLarge: return Failure(kind: .tooLarge, message: "the answer's headers exceed 64 KiB")
        case .switchesProtocol: return Failure(kind: .protocolError, message: "the receiver switches protocols (101)")
        case .encodesTransfer:
            return Failure(kind: .protocolError, message: "the answer has a compressed transfer coding")
        case nil: break
        }
        if lacksSocket, !hasConnection, code == CURLE_COULDNT_CONNECT { return .noSocket }
        if let failure = proxyFailure(code) { return failure }
        let own = String(cString: errorText)
        // The one fault of a receiver for which libcurl uses the code of a broken connection.
        let saysChunk = own.hasSuffix("in chunked-encoding") || own.hasPrefix("chunk hex-length")
        let isBadChunk = code == CURLE_RECV_ERROR && saysChunk
        let kind = isBadChunk ? .protocolError : FailureKind(code)
        switch kind {
        case .cancelled: return Failure(kind: kind, message: "the request was cancelled")
        case .timeout:
            return Failure(
                kind: kind, message: times.phaseUnderWay(hasSent: hasConnection, isSecure: target?.isSecure == true))
        case .tooLarge: return Failure(kind: kind, message: "a header line of the answer is too long")
        default: return Failure(kind: kind, message: Self.detail(own, code))
        }
    }

    /// libcurl's sentence, cut and cleaned, or its general one when the sentence might quote the URL.
    private static func detail(_ own: String, _ code: CURLcode) -> String {
        let mayQuote = own.isEmpty || own.contains("://") || own.contains("?")
        let text = mayQuote ? String(cString: curl_easy_strerror(code)) : own
        return String(
            decoding: text.utf8.prefix(200).map { $0 >= 0x20 && $0 < 0x7f ? $0 : UInt8(ascii: ".") }, as: UTF8.self)
    }
}

extension Failure {
    /// The host is, or resolves to, an address that may not be dialed. Says nothing of which: it must not help a scan.
    static let refusedAddress = Failure(
        kind: .refusedAddress, message: "the host has an address that may not be dialed")

    /// The kernel gave no socket.
    static let noSocket = Failure(kind: .worker, message: "no file descriptor or memory was left for a connection")

    /// libcurl was content, but no final status line came.
    static let emptyAnswer = Failure(kind: .protocolError, message: "the answer has no final status")
}
