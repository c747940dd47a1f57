// Drains of a queue whose rows came one by one, on a database that is new, full of history, or kept from cleaning up.

/// What the drain meets.
enum BacklogVariant: String, CaseIterable {
    /// Nothing else: the baseline.
    case bare = "a row for each event"
    /// Many events that were delivered before.
    case history = "a row for each event, after much history"
    /// A transaction that was open before the first event and ends after the last.
    case pinned = "a row for each event, a transaction held open"

    /// The drain to measure.
    func drain(events: Int, workers: Int, history: Int) -> Drain {
        Drain(
            events: events, workers: workers, isRowForEach: true, history: self == .history ? history : 0,
            isPinned: self == .pinned)
    }
}
