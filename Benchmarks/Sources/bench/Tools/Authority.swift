// A certificate authority and one certificate for loopback, made for a run and thrown away with the toolbox's folder.

/// Files in PEM, made by the program `openssl`.
struct Authority {
    /// What the workers trust.
    let file: String
    /// What the receiver shows.
    let certificate: String
    /// Its key.
    let key: String

    /// Makes the files, or finds those of an earlier measurement.
    ///
    /// - Throws: ``BenchError`` with what `openssl` said.
    init(_ toolbox: Toolbox) throws {
        file = "\(toolbox.folder)/authority.pem"
        certificate = "\(toolbox.folder)/certificate.pem"
        key = "\(toolbox.folder)/certificate.key"
        if readText(certificate) != nil { return }
        // Keys on P-256, as most receivers have them today.
        let own = "\(toolbox.folder)/authority.key"
        let request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        try openssl(toolbox, request + ["-subj", "/CN=bench authority", "-keyout", own, "-out", file])
        try openssl(
            toolbox,
            request + [
                "-subj", "/CN=bench receiver", "-CA", file, "-CAkey", own, "-keyout", key, "-out", certificate,
                "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE",
            ])
    }

    private func openssl(_ toolbox: Toolbox, _ arguments: [String]) throws {
        let child = try toolbox.startProgram("openssl", arguments)
        defer { child.end() }
        _ = try child.finish(within: 30)
    }
}
