// Every failure class in words for people: what it means, and what to do about deliveries that died of it. Used by
// `postrider dead-letters explain`.

extension FailureClass {
    /// What happened, in one sentence.
    public var meaning: String {
        switch self {
        case .dns: "The host name of the URL did not resolve."
        case .connect: "No connection to the receiver came about: nobody listens there, or it cannot be reached."
        case .tls: "The TLS handshake failed for another reason than the certificate."
        case .certificate: "The receiver's certificate was refused: expired, of another name, or of an unknown issuer."
        case .timeout:
            "The answer was not complete within the timeout, or no connection came about within five seconds, as behind a "
                + "firewall; the attempt's message tells which. When it had been sent, the receiver may have acted on it."
        case .reset: "The connection ended in the middle. The receiver may have acted on the request."
        case .protocolError: "What came back is not HTTP, or has a status outside of 200 to 599."
        case .tooLarge: "The headers of the answer exceeded a limit."
        case .refusedAddress: "The URL leads to an address that workers refuse, such as a private or loopback network."
        case .invalidRequest: "The request could not be built or sent; the payload or the endpoint's settings are why."
        case .cancelled: "The worker stopped before an answer came. It says nothing about the receiver."
        case .redirectRefused: "The receiver answered with a redirect, which is never followed."
        case .clientError: "The receiver refused the request (4xx)."
        case .serverError: "The receiver failed (5xx)."
        case .throttled: "The receiver asked for patience (408, 425 or 429) until the attempts were used up."
        case .unavailable: "The receiver was overloaded or down (502, 503 or 504)."
        case .gone: "The receiver says that the endpoint exists no more (410)."
        case .payloadRefused: "The receiver will never take this payload: too large or of the wrong type (413 or 415)."
        case .workflowInactive: "The n8n workflow is not active (404)."
        case .proxy:
            "A proxy on this side could not be reached, or refused: it asked for a password (407), or for nothing at all."
        case .worker:
            "The worker lacked what sending needs: a file descriptor, memory, a thread, or a place among its name lookups."
        case .refusedByReceiver: "The receiver asked by header that this delivery, or all of them, be given up."
        case .refusedItem: "The receiver took the batch that the event was in, but refused this event of it."
        case .skipped: "An administrator skipped it, to let the events behind it in its ordering key go on."
        case .transform: "What to send could not be made: nothing was sent."
        case .dropped: "The endpoint's transform gave null: nothing is to be sent. Nobody failed."
        case .erased: "The payload was removed, so there is nothing to send."
        case .scope: "The endpoint is of another organization or user now than the event: nothing was sent."
        case .poison: "Five workers died while they held it. It was not sent again, to protect the others."
        }
    }

    /// What to do before it is sent again, in one or two sentences.
    public var advice: String {
        switch self {
        case .dns: "Check the host name of the URL, and the name servers of the workers' hosts."
        case .connect: "Check that the receiver runs and that the workers' hosts may reach its port."
        case .tls: "Check which TLS versions and ciphers the receiver offers: openssl s_client -connect host:443."
        case .certificate: "Let the receiver renew its certificate, or send the full chain."
        case .timeout:
            "Let the receiver answer first and work afterwards, or raise the endpoint's timeout; without a connection, check "
                + "that the workers' hosts may reach its port."
        case .reset: "Look into the receiver's log at that time: it, or a proxy before it, restarted."
        case .protocolError: "Check that the URL's port speaks HTTP."
        case .tooLarge: "Let the receiver answer with fewer or shorter headers."
        case .refusedAddress: "Correct the URL, or allow the network with POSTRIDER_ALLOW_NETWORKS when it is yours."
        case .invalidRequest: "Read the message of the last attempt, correct the endpoint or its profile, then replay."
        case .cancelled: "Nothing is to be corrected: replay it."
        case .redirectRefused: "Give the endpoint the URL that the redirect leads to."
        case .clientError:
            "Read the body of the answer: often the secret differs, the path is wrong, or the payload lacks something."
        case .serverError: "Look into the receiver's log at that time; replay when it is mended."
        case .throttled: "Replay at a lower rate (--rate), or give the endpoint more attempts with longer delays."
        case .unavailable: "Wait until the receiver is well, then replay."
        case .gone: "Give the endpoint its new URL, or archive its dead letters and delete it."
        case .payloadRefused: "Raise the receiver's limit, or send fewer columns; otherwise archive it."
        case .workflowInactive: "Activate the workflow in n8n, then replay."
        case .proxy: "Check that the proxy runs and that the workers may reach it, and give them its password."
        case .worker:
            "Raise its limit of open files (ulimit -n) or its memory, or mend the DNS servers that do not answer; then replay."
        case .refusedByReceiver: "Ask the receiver's owner before it is sent again; otherwise archive it."
        case .refusedItem: "Look into the receiver's log for this event; replay it when it is mended."
        case .skipped: "Replay it when its receiver is ready for it; it goes beside the order now."
        case .transform: "Read the message of the last attempt, mend the template, function or payload, then replay."
        case .dropped: "Nothing is to be done."
        case .erased: "Nothing: the person was forgotten, and nothing can be sent again."
        case .scope: "Nothing; or give the endpoint its organization and user back, then replay."
        case .poison: "Look into the logs of the workers that died, and report it, before it is replayed."
        }
    }
}
