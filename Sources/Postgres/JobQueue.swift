// Jobs in the order they came. Owned by Session.

/// A first-in, first-out queue that does not move its elements when the first is taken.
struct JobQueue {
    private var jobs: [Job] = []
    private var head = 0

    /// All waiting jobs, oldest first.
    var all: ArraySlice<Job> { jobs[head...] }

    /// Adds a job at the end.
    mutating func append(_ job: Job) { jobs.append(job) }

    /// Takes the oldest job, nil when none waits.
    mutating func popFirst() -> Job? {
        guard head < jobs.count else { return nil }
        let job = jobs[head]
        head += 1
        if head == jobs.count {
            jobs.removeAll(keepingCapacity: true)
            head = 0
        } else if head >= 256 {
            jobs.removeFirst(head)
            head = 0
        }
        return job
    }

    /// Takes out a job wherever it stands.
    mutating func remove(_ job: Job) {
        if let index = jobs[head...].firstIndex(where: { $0 === job }) { jobs.remove(at: index) }
    }
}
