// The payload filter of a destination, for backfills: what SQL cannot evaluate. Used by the driver of a replay.

internal import Outbox

/// Whether a destination would have wanted an event that it never got.
enum ReplayFilter {
    /// Reads a filter that comes with every batch and is mostly the same.
    struct Reader {
        let keys: KeyRing?
        private var last: (text: String, admits: (Event) throws -> Bool)?

        init(keys: KeyRing?) { self.keys = keys }

        /// The filter as a function.
        ///
        /// - Throws: ``CommandFailure`` as ``ReplayFilter/admits(_:keys:)``.
        mutating func read(_ text: String) throws -> (Event) throws -> Bool {
            if let last, last.text == text { return last.admits }
            let admits = try ReplayFilter.admits(text, keys: keys)
            last = (text, admits)
            return admits
        }
    }

    /// The filter as a function.
    ///
    /// It throws ``CommandFailure`` for a payload whose key is not there: nobody knows then whether it is wanted. One that
    /// does not open with its key never will: it is told and left out. One that opens to what is not JSON passes, as it does
    /// with workers.
    ///
    /// - Parameters:
    ///   - filter: the destination's option `filter` as JSON text.
    ///   - keys: what sealed payloads are opened with.
    /// - Throws: ``CommandFailure`` when the filter cannot be read.
    static func admits(_ filter: String, keys: KeyRing?) throws -> (Event) throws -> Bool {
        do {
            let filter = try PayloadFilter(parsing: Array(filter.utf8))
            return { event in
                guard let data = try data(of: event, keys) else { return false }
                guard let payload = try? ParsedPayload(parsing: data) else { return true }
                return filter.matches(payload)
            }
        } catch {
            throw CommandFailure.failed("the endpoint's payload filter cannot be read: \(error)")
        }
    }

    /// The payload as it was written; nil when it is sealed and damaged.
    private static func data(of event: Event, _ keys: KeyRing?) throws -> [UInt8]? {
        do {
            return try event.opened(with: keys).data
        } catch SealingError.missingKey(let name) {
            throw CommandFailure.failed(
                "the payload filter cannot be asked about event \(event.id): it is sealed with key '\(name)', "
                    + "which is not in POSTRIDER_SECRET_KEYS")
        } catch {
            Session.remark("event \(event.id) left out: its payload is sealed and does not open")
            return nil
        }
    }
}
