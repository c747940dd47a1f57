// The payload filter of a destination, for backfills: what SQL cannot evaluate. Used by the driver of a replay.

internal import Outbox

/// Whether a destination would have wanted an event that it never got.
enum ReplayFilter {
    /// The filter as a function.
    ///
    /// It throws ``CommandFailure`` for a payload that is sealed and does not open: nobody knows then whether it is wanted.
    ///
    /// - Parameters:
    ///   - filter: the destination's option `filter` as JSON text; empty when it has none.
    ///   - keys: what sealed payloads are opened with.
    /// - Returns: nil when every event passes, so that no payload needs to be loaded.
    /// - Throws: ``CommandFailure`` when the filter cannot be read.
    static func admits(_ filter: String, keys: KeyRing?) throws -> ((Event) throws -> Bool)? {
        guard !filter.isEmpty else { return nil }
        do {
            let filter = try PayloadFilter(parsing: Array(filter.utf8))
            return { event in filter.matches(try ParsedPayload(parsing: try opened(event, keys).data)) }
        } catch {
            throw CommandFailure.failed("the endpoint's payload filter cannot be read: \(error)")
        }
    }

    private static func opened(_ event: Event, _ keys: KeyRing?) throws -> Event {
        do {
            return try event.opened(with: keys)
        } catch SealingError.missingKey(let name) {
            throw CommandFailure.failed(
                "the payload filter cannot be asked about event \(event.id): it is sealed with key '\(name)', "
                    + "which is not in POSTRIDER_SECRET_KEYS")
        } catch {
            throw CommandFailure.failed(
                "the payload filter cannot be asked about event \(event.id): it is sealed and does not open")
        }
    }
}
