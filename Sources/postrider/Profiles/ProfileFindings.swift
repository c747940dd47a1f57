// What `postrider doctor` says of profiles that operators added. Pure.

internal import Outbox

/// Judges the profiles that are rows.
enum ProfileFindings {
    /// A finding for each that cannot be used, or that is used and missing; else one that all is well.
    ///
    /// - Parameter records: the answer to `ProfileList`.
    static func all(_ catalog: ProfileCatalog, _ records: [Record]) -> [Finding] {
        var findings: [Finding] = []
        for record in records {
            do {
                _ = try catalog.profile(record["name"])
            } catch {
                let users = Int(record.number("destinations") ?? 0)
                findings.append(
                    Finding(
                        users > 0 ? .fail : .warn, "profile", "\(error); destinations: \(users)",
                        "postrider profiles update '\(record["name"])', then enable them"))
            }
        }
        guard findings.isEmpty else { return findings }
        return [Finding(.ok, "profiles", "\(catalog.addedProfiles.count) added, all can be used")]
    }
}
