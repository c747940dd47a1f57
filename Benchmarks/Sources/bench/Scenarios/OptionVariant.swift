// Drains to an endpoint that uses an option, and beside very many other endpoints: what does each cost.

/// What the endpoint of a drain uses.
enum OptionVariant: String, CaseIterable {
    /// Nothing: the baseline.
    case none = "no options"
    /// A condition on the payload that all events meet.
    case filter = "a filter"
    /// A template that leaves a field out and renames another.
    case transform = "a template"
    /// A rate that is never reached: what asking for permits costs.
    case rate = "a rate of 100,000/s"
    /// Strict order, of 1,000 keys.
    case order = "strict order, 1,000 keys"
    /// Strict order, of one key, of a hundredth of the events.
    case oneKey = "strict order, one key"
    /// A hundred thousand other endpoints, each of an organization of its own; a thousand in short runs.
    case crowd = "beside many other endpoints"

    /// The drain to measure.
    func drain(events: Int, workers: Int) -> Drain {
        var drain = Drain(events: self == .oneKey ? max(200, events / 100) : events, workers: workers)
        switch self {
        case .none: break
        case .filter: drain.setup = [Self.set(#"{"filter": {"status": ["new"], "id": {"gte": 0}}}"#)]
        case .transform: drain.setup = [Self.set(#"{"transform": {"omit": ["note"], "rename": {"email": "address"}}}"#)]
        case .rate: drain.setup = [Self.set(#"{"rate": {"per_second": 100000, "burst": 10000}}"#)]
        case .order, .oneKey:
            drain.setup = [Self.set(#"{"order": true}"#)]
            drain.keys = self == .order ? 1000 : 1
        case .crowd:
            drain.setup = [Statements.crowd(of: events < 50_000 ? 1000 : 100_000)]
            drain.reloads = 5
        }
        return drain
    }

    private static func set(_ options: String) -> String {
        "UPDATE postrider.webhook_destinations SET options = '\(options)'"
    }
}
