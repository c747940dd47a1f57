// What of a destination's requests is the same every time, worked out once. Kept by the request builder.

/// A destination with its key schedules done and its constant header lines written.
final class PreparedDestination: Sendable, CustomReflectable {
    /// A header line whose value changes from request to request.
    struct VariableHeader: Sendable {
        /// Name, colon and space.
        let lead: [UInt8]
        let value: Template
    }

    /// Keeps the destination alive, so that its identity cannot be taken by another one.
    let destination: Destination
    let constantLines: [String]
    let variableHeaders: [VariableHeader]
    let signers: [Signer]
    let separator: [UInt8]
    /// The signed string before and after the body.
    let head: [Template.Segment]
    let tail: [Template.Segment]
    let signsCanonicalBody: Bool
    let destinationID: [UInt8]
    /// Signs a token for each request; nil for none.
    let tokenSigner: TokenSigner?

    /// - Throws: `SecretError`, never for a destination that exists.
    init(_ destination: Destination) throws(SecretError) {
        let profile = destination.profile
        self.destination = destination
        destinationID = Array(destination.uuid.utf8)
        signers = try Self.signers(of: destination)
        separator = Array((profile.signature?.separator ?? "").utf8)
        let segments = profile.signedTemplate?.segments ?? []
        let body = segments.firstIndex(where: Profile.isBody) ?? segments.endIndex
        head = Array(segments[..<body])
        tail = Array(segments[body...].dropFirst())
        if case .token(let signer) = destination.access?.authentication {
            tokenSigner = signer
        } else {
            tokenSigner = nil
        }
        signsCanonicalBody = profile.signedTemplate?.uses(.canonicalBody) ?? false
        (constantLines, variableHeaders) = Self.headers(of: destination, isSigned: !signers.isEmpty)
    }

    /// Custom headers and key schedules are credentials: a dump sees the destination alone, which hides them itself.
    var customMirror: Mirror { Mirror(self, children: ["destination": destination]) }

    private static func signers(of destination: Destination) throws(SecretError) -> [Signer] {
        guard let recipe = destination.profile.signature else { return [] }
        let room = recipe.separator == nil ? 1 : destination.secrets.count
        var signers: [Signer] = []
        for secret in destination.secrets.prefix(room) {
            // Destinations refuse secrets for which there is no room.
            if let signer = try Signer(secret, recipe: recipe) { signers.append(signer) }
        }
        return signers
    }

    private static func headers(of destination: Destination, isSigned: Bool) -> ([String], [VariableHeader]) {
        var constant = [
            "Content-Type: \(destination.profile.contentType)", "User-Agent: \(destination.profile.userAgent)",
        ]
        var variable: [VariableHeader] = []
        for header in destination.profile.headerTemplates where isSigned || !header.value.uses(.signature) {
            if header.value.isConstant {
                constant.append("\(header.name): \(constantText(header.value, destination))")
            } else {
                variable.append(VariableHeader(lead: Array("\(header.name): ".utf8), value: header.value))
            }
        }
        constant.append(contentsOf: destination.headers.map { "\($0.name): \($0.value)" })
        if case .constant(let field) = destination.access?.authentication {
            constant.append("\(field.name): \(field.value)")
        }
        return (constant, variable)
    }

    private static func constantText(_ template: Template, _ destination: Destination) -> String {
        var text: [UInt8] = []
        for segment in template.segments {
            switch segment {
            case .literal(let bytes): text.append(contentsOf: bytes)
            case .variable: text.append(contentsOf: destination.uuid.utf8)
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
