// One connection of a receiver: requests one after the other, each answered before the next is read. Run by ReceiverServer.

internal import NIOCore
internal import NIOHTTP1

/// Reads requests and writes what is answered to them.
struct ReceiverConnection: Sendable {
    /// A connection whose input is taken apart; answers are written to its channel, to know when they have left.
    typealias Parts = NIOAsyncChannel<HTTPServerRequestPart, Never>

    /// The longest body that is taken, 16 MiB; a longer one is answered with 413, and nobody is told of it.
    static let longestBody = 16 << 20

    let handler: ReceiverServer.Handler

    /// Prepares an accepted connection; on its event loop.
    static func parts(of channel: any Channel) throws -> Parts {
        try channel.pipeline.syncOperations.configureHTTPServerPipeline()
        return try Parts(wrappingChannelSynchronously: channel)
    }

    /// Answers requests until either side closes, or the task is cancelled.
    func serve(_ parts: Parts) async {
        let channel = parts.channel
        await withTaskCancellationHandler {
            // What goes wrong with one connection is nothing to the others.
            try? await parts.executeThenClose { inbound in
                var inbound = inbound.makeAsyncIterator()
                while case .head(let head)? = try await inbound.next() {
                    guard try await exchange(head, &inbound, channel) else { return }
                }
            }
        } onCancel: {
            channel.close(promise: nil)
        }
    }

    /// One request and its answer; whether another may follow.
    private func exchange(
        _ head: HTTPRequestHead, _ inbound: inout NIOAsyncChannelInboundStream<HTTPServerRequestPart>.AsyncIterator,
        _ channel: any Channel
    ) async throws -> Bool {
        if head.headers[canonicalForm: "expect"].contains("100-continue") {
            // Who waits for our word sends nothing that is refused now.
            let length = head.headers["content-length"].last.flatMap { Int($0) } ?? 0
            guard length <= Self.longestBody else {
                try await write(ReceiverAnswer(status: 413), to: head, staysOpen: false, channel)
                return false
            }
            try await channel.writeAndFlush(
                HTTPServerResponsePart.head(HTTPResponseHead(version: head.version, status: .continue)))
        }
        var answer = ReceiverAnswer(status: 413)
        if let body = try await Self.body(&inbound) {
            answer = await handler(ReceivedRequest(head, body))
            if answer.delay > .zero { try await Task.sleep(for: answer.delay) }
        }
        try await write(answer, to: head, staysOpen: head.isKeepAlive, channel)
        return head.isKeepAlive
    }

    /// The body up to its end; nil for one that is too long, of which nothing is kept.
    private static func body(
        _ inbound: inout NIOAsyncChannelInboundStream<HTTPServerRequestPart>.AsyncIterator
    ) async throws -> [UInt8]? {
        var body: [UInt8] = []
        var length = 0
        while let part = try await inbound.next() {
            switch part {
            case .head: break
            case .body(let bytes):
                length += bytes.readableBytes
                if length > longestBody { body = [] } else { body += bytes.readableBytesView }
            case .end: return length > longestBody ? nil : body
            }
        }
        throw ChannelError.inputClosed
    }

    /// Writes an answer and waits until the kernel has it.
    private func write(
        _ answer: ReceiverAnswer, to request: HTTPRequestHead, staysOpen: Bool, _ channel: any Channel
    ) async throws {
        var head = HTTPResponseHead(version: request.version, status: HTTPResponseStatus(statusCode: answer.status))
        for header in answer.headers { head.headers.add(name: header.name, value: header.value) }
        head.headers.replaceOrAdd(name: "Content-Length", value: "\(answer.body.utf8.count)")
        if !staysOpen { head.headers.replaceOrAdd(name: "Connection", value: "close") }
        channel.write(HTTPServerResponsePart.head(head), promise: nil)
        if request.method != .HEAD, head.status.mayHaveResponseBody, !answer.body.isEmpty {
            channel.write(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(string: answer.body))), promise: nil)
        }
        try await channel.writeAndFlush(HTTPServerResponsePart.end(nil))
    }
}

extension ReceivedRequest {
    /// A request that was read to its end just now.
    fileprivate init(_ head: HTTPRequestHead, _ body: [UInt8]) {
        var headers: [String: (name: String, value: String)] = [:]
        for header in head.headers { headers[header.name.lowercased()] = (header.name, header.value) }
        self.init(
            method: head.method.rawValue, target: head.uri, headers: headers.values.sorted { $0.name < $1.name },
            body: body, arrivedAt: .now)
    }
}
