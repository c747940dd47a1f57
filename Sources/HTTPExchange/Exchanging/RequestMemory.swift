// What is here: the header lines and the small body of one request in one block of memory that libcurl reads in place.
// Called by: Transfer, once per request. The block is kept for the next request.

import CLibCurl
import Glibc

/// Memory for a list of header lines and a body; grows, and is used again.
final class RequestMemory {
    /// Bodies up to this size are copied beside the headers and leave in the same write as they do. Larger ones are
    /// read from the caller's array piece by piece, which is what libcurl would do with them by itself.
    static let smallBody = 32_768

    /// The list for `CURLOPT_HTTPHEADER`; nil when it is empty.
    private(set) var list: UnsafeMutablePointer<curl_slist>?

    /// The copied body; meaningless when it was too large to be copied.
    private(set) var body: UnsafeMutablePointer<CChar>

    private var block: UnsafeMutableRawPointer
    private var capacity = 2_048
    private var nodes: UnsafeMutablePointer<curl_slist>
    private var nodeCount = 0

    init() {
        block = .allocate(byteCount: capacity, alignment: 16)
        nodes = block.assumingMemoryBound(to: curl_slist.self)
        body = block.assumingMemoryBound(to: CChar.self)
    }

    deinit { block.deallocate() }

    /// Lays out the request's lines, and the lines that suppress what libcurl would add by itself.
    ///
    /// - Throws: `Failure` of kind `.invalidRequest` for a line that may not be sent.
    func fill(headers: [String], body bytes: [UInt8]) throws(Failure) {
        // Three more nodes for the suppressed headers, two more bytes per line for NUL and a closing semicolon.
        let nodeBytes = (headers.count + 3) * MemoryLayout<curl_slist>.stride
        let copied = bytes.count <= Self.smallBody ? bytes.count : 0
        reserve(nodeBytes + headers.reduce(0) { $0 + $1.utf8.count + 2 } + copied)
        nodes = block.bindMemory(to: curl_slist.self, capacity: headers.count + 3)
        nodeCount = 0
        var free = (block + nodeBytes).assumingMemoryBound(to: CChar.self)
        var bringsAccept = false
        var bringsType = false
        for index in headers.indices {
            let length = Self.copy(headers[index], to: free)
            let name = try HeaderLine.check(UnsafeRawBufferPointer(start: free, count: length), number: index + 1)
            bringsAccept = bringsAccept || name == .accept
            bringsType = bringsType || name == .contentType
            append(free)
            free += Self.close(free, length)
        }
        if !bringsAccept { append(Self.noAccept) }
        if !bringsType { append(Self.noType) }
        if bytes.count > Self.smallBody { append(Self.noExpect) }
        if copied > 0 {
            bytes.withUnsafeBytes { UnsafeMutableRawBufferPointer(start: free, count: copied).copyMemory(from: $0) }
        }
        body = free
        list = nodeCount > 0 ? nodes : nil
    }

    private func reserve(_ size: Int) {
        // What a huge request took is not kept for the small ones after it.
        guard size > capacity || (capacity > 65_536 && size < 16_384) else { return }
        capacity = max(2_048, (size + 1_023) & ~1_023)
        block.deallocate()
        block = .allocate(byteCount: capacity, alignment: 16)
    }

    private func append(_ line: UnsafeMutablePointer<CChar>) {
        (nodes + nodeCount).initialize(to: curl_slist(data: line, next: nil))
        if nodeCount > 0 { nodes[nodeCount - 1].next = nodes + nodeCount }
        nodeCount += 1
    }

    private static func copy(_ line: String, to target: UnsafeMutablePointer<CChar>) -> Int {
        var line = line
        return line.withUTF8 { bytes in
            UnsafeMutableRawBufferPointer(start: target, count: bytes.count).copyMemory(
                from: UnsafeRawBufferPointer(bytes))
            return bytes.count
        }
    }

    /// Ends the line for libcurl and returns the room it took. "Name:" would remove the header; "Name;" sends it empty.
    private static func close(_ line: UnsafeMutablePointer<CChar>, _ length: Int) -> Int {
        var end = length
        while end > 0, line[end - 1] == 32 || line[end - 1] == 9 { end -= 1 }
        line[end] = 0
        // The colon behind the name alone: a value may end in one too.
        if end > 0, strchr(line, 58) == line + (end - 1) { line[end - 1] = 59 }
        return end + 1
    }

    // "Name:" keeps libcurl from adding the header. Allocated once for the process and read only (libcurl's list type
    // merely lacks the const), so sharing them between threads is safe.
    private nonisolated(unsafe) static let noAccept = constant("Accept:")
    private nonisolated(unsafe) static let noType = constant("Content-Type:")
    private nonisolated(unsafe) static let noExpect = constant("Expect:")

    private static func constant(_ text: String) -> UnsafeMutablePointer<CChar> {
        let bytes = text.utf8CString
        let copy = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
        for (index, byte) in bytes.enumerated() { (copy + index).initialize(to: byte) }
        return copy
    }
}
