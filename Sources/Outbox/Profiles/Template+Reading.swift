// Templates read backwards: from a header to the values that stand in it. Called by RequestVerifier.

extension Template {
    /// Reads the values of variables back from a text: each ends where the next literal begins.
    ///
    /// - Returns: Whether the text has the form of this template.
    func capture(_ text: [UInt8], into values: inout [Variable: ArraySlice<UInt8>]) -> Bool {
        var rest = text[...]
        var open: Variable?
        for segment in segments {
            switch segment {
            case .variable(let variable, _): open = variable
            case .literal(let bytes):
                guard let start = rest.indices.first(where: { rest[$0...].starts(with: bytes) }),
                    open != nil || start == rest.startIndex
                else { return false }
                if let variable = open { values[variable] = rest[..<start] }
                open = nil
                rest = rest[(start + bytes.count)...]
            }
        }
        if let variable = open { values[variable] = rest }
        return open != nil || rest.isEmpty
    }
}
