// The folder of certificates and keys that destinations name. Read by the worker with each load of a destination that names
// one, at least once a minute, so that a file that was replaced counts by then.

internal import Outbox
internal import SystemPackage

/// Files of PEM, by name.
struct CertificateFolder: Sendable {
    /// The longest file that is read.
    static let longestFile = 1 << 16

    let path: String

    /// The text of a file.
    ///
    /// - Throws: `SettingFault` that names the file and never its content.
    func read(_ name: String) throws(SettingFault) -> String {
        let file = FilePath(path).appending(name).string
        // Of the file behind a link, which is how Kubernetes puts files into a folder.
        guard let data = try? FileContents.bytes(file, longest: Self.longestFile), data.count <= Self.longestFile,
            let text = String(validating: data, as: UTF8.self)
        else { throw SettingFault("option tls: file \(name) of POSTRIDER_TLS_FOLDER cannot be read as a short text") }
        return text
    }
}
