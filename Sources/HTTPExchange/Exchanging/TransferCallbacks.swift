// What is here: the functions that libcurl calls about one transfer. None can fail otherwise than by its return value.
// Called by: libcurl, on the loop's thread, with the Transfer as context.

import CLibCurl
import Glibc

/// Callbacks of an easy handle.
enum TransferCallbacks {
    /// `CURLOPT_PREREQFUNCTION`: there is a connection, and the request goes out next.
    static let ready: clibcurl_ready_function = { context, _, _, _, _ in
        guard let transfer = transfer(context), let target = transfer.target else { return CURL_PREREQFUNC_OK }
        // A second time for one request: it is being repeated.
        if transfer.hasConnection { transfer.isSpent = true }
        transfer.hasConnection = true
        if target.isSecure { transfer.lookAtTLS() }
        if !target.host.isSettled {
            target.host.isSettled = true
            if !target.host.held.isEmpty { transfer.settled.hosts.append(target.host) }
        }
        return CURL_PREREQFUNC_OK
    }

    /// `CURLOPT_HEADERFUNCTION`: one complete line.
    static let header: clibcurl_data_function = { bytes, size, count, context in
        guard let transfer = transfer(context) else { return 0 }
        let line = UnsafeRawBufferPointer(start: bytes, count: size * count)
        return transfer.answer.takeLine(line, keeping: transfer.configuration.keptHeaders) ? line.count : 0
    }

    /// `CURLOPT_WRITEFUNCTION`: a piece of the body.
    static let body: clibcurl_data_function = { bytes, size, count, context in
        guard let transfer = transfer(context) else { return 0 }
        let piece = UnsafeRawBufferPointer(start: bytes, count: size * count)
        return transfer.answer.takeBody(piece) ? piece.count : 0
    }

    /// `CURLOPT_READFUNCTION`: room for the next piece of a large body.
    static let read: clibcurl_data_function = { room, size, count, context in
        guard let transfer = transfer(context), let room, let body = transfer.job?.request.body else { return 0 }
        let length = min(size * count, body.count - transfer.bodyOffset)
        body.withUnsafeBytes { bytes in
            let piece = UnsafeRawBufferPointer(rebasing: bytes[transfer.bodyOffset..<transfer.bodyOffset + length])
            UnsafeMutableRawBufferPointer(start: room, count: length).copyMemory(from: piece)
        }
        transfer.bodyOffset += length
        return length
    }

    /// `CURLOPT_SEEKFUNCTION`: a large body begins again when a kept connection turns out to be dead.
    static let seek: clibcurl_seek_function = { context, offset, origin in
        guard let transfer = transfer(context), let body = transfer.job?.request.body, origin == SEEK_SET,
            (0...body.count).contains(Int(offset))
        else { return CURL_SEEKFUNC_CANTSEEK }
        transfer.bodyOffset = Int(offset)
        return CURL_SEEKFUNC_OK
    }

    /// `CURLOPT_RESOLVER_START_FUNCTION`: libcurl is about to look a name up, which it must never do; a literal passes.
    static let resolve: clibcurl_resolve_function = { _, _, context in
        transfer(context)?.target?.host.literal == nil ? 1 : 0
    }

    private static func transfer(_ context: UnsafeMutableRawPointer?) -> Transfer? {
        guard let context else { return nil }
        return Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
    }
}
