// How the tasks that come round again and again take a failure: BreakerKeeper, Upkeep and the sweep of Control.

internal import Logging

extension Trouble {
    /// Does what the next round will try again. What fails is told when it is of another kind than the failure before.
    ///
    /// - Throws: `CancellationError` when the task was cancelled.
    mutating func attempt(
        _ failed: Logger.Message, _ logger: Logger, _ round: () async throws -> Void
    ) async throws {
        do {
            try await round()
            _ = end()
        } catch {
            // A worker that stops breaks off what it asks; that is no news.
            try Task.checkCancellation()
            if isNews(error) { logger.warning(failed, metadata: ["error": "\(error)"]) }
        }
    }
}
