// The payload filter of a destination, for backfills: what SQL cannot evaluate. Used by the driver of a replay.

internal import Outbox

/// Whether a destination would have wanted an event that it never got.
enum ReplayFilter {
    /// The filter as a function.
    ///
    /// - Parameter filter: the destination's option `filter` as JSON text; empty when it has none.
    /// - Returns: nil when every event passes, so that no payload needs to be loaded.
    /// - Throws: ``CommandFailure`` when the filter cannot be read.
    static func admits(_ filter: String) throws -> ((Event) throws -> Bool)? {
        guard !filter.isEmpty else { return nil }
        do {
            let filter = try PayloadFilter(parsing: Array(filter.utf8))
            return { event in filter.matches(try ParsedPayload(parsing: event.data)) }
        } catch {
            throw CommandFailure.failed("the endpoint's payload filter cannot be read: \(error)")
        }
    }
}
