// Answers of n8n that mean something else than their status. Called by the verdict.

/// Recognition of n8n's answers by their body (packages/cli/src/webhooks).
enum N8nAnswer {
    /// Tells whether a 404 says that the workflow is not active, in one of the two wordings: `The requested webhook
    /// "POST path" is not registered.` and `This webhook is not registered for POST requests.`
    static func isNotRegistered(_ body: [UInt8]) -> Bool {
        guard body.first(where: { $0 > 0x20 }) == UInt8(ascii: "{") else { return false }
        let beginning = body.prefix(1024)
        return contains("webhook ", in: beginning) && contains("is not registered", in: beginning)
    }

    private static func contains(_ phrase: StaticString, in text: ArraySlice<UInt8>) -> Bool {
        let phrase = UnsafeBufferPointer(start: phrase.utf8Start, count: phrase.utf8CodeUnitCount)
        guard text.count >= phrase.count else { return false }
        return (text.startIndex...(text.endIndex - phrase.count)).contains { text[$0...].starts(with: phrase) }
    }
}
