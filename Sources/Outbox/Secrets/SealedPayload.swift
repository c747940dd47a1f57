// Payloads at rest: a sealed text in the place of a document. Sealed by the store's upkeep, opened by workers before sending.

extension Event {
    /// What a sealed payload begins with, as Postgres prints `{"postrider": "sealed:v1:<key name>:<base64>"}`.
    private static let sealedBeginning = Array((#"{"postrider": ""# + SealedSecret.mark).utf8)

    /// Whether the payload is sealed, or wants to be taken for it.
    public var isSealed: Bool { data.count > Self.sealedBeginning.count && data.starts(with: Self.sealedBeginning) }

    /// Why a payload that could not be opened never will be, in one line for people; nil when others may have what this worker
    /// lacks: the key, or the right one of that name.
    ///
    /// - Parameter isProven: whether this worker's key of a name is known to be the one that others seal with.
    public static func openingFault(_ error: SealingError, isProven: (String) -> Bool) -> String? {
        switch error {
        case .doesNotOpen(let key) where isProven(key):
            "the payload does not open with key '\(key)', which is the one that seals under that name: it was altered or copied"
        case .missingKey, .doesNotOpen, .wrongKey: nil
        case .malformed, .unsealable: "the payload begins like a sealed one and is none"
        }
    }

    /// The event with the payload as it was written, byte for byte as Postgres printed it then; the same when it is not
    /// sealed.
    ///
    /// - Throws: ``SealingError``.
    public func opened(with keys: KeyRing?) throws(SealingError) -> Event {
        guard isSealed else { return self }
        guard data.suffix(2).elementsEqual(#""}"#.utf8) else { throw .malformed }
        let text = data.dropFirst(Self.sealedBeginning.count - SealedSecret.mark.utf8.count).dropLast(2)
        let plain = try SealedSecret(String(decoding: text, as: UTF8.self)).open(at: .payload(id), with: keys)
        var event = self
        event.data = Array(plain.utf8)
        return event
    }
}
