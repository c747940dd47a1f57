// What is here: requests that wait for a name or a place, and requests that are taken back.
// Called by: Loop.run, Loop+Requests.

import CLibCurl

extension Loop {
    /// Lets a request wait for the addresses of its host.
    func waitForName(_ entry: Waiting) {
        var entry = entry
        let limit = min(entry.job.request.timeout, entry.job.request.connectTimeout).nanoseconds
        entry.deadline = entry.startedAt + max(0, limit)
        note(entry)
        entry.target.host.unnamed.append(entry)
    }

    /// Lets a request wait until others to its host have ended or have their connection.
    func hold(_ entry: Waiting) {
        let entry = waitingForPlace(entry)
        note(entry)
        entry.target.host.held.append(entry)
    }

    /// Lets a request wait until fewer are under way.
    func waitInLine(_ entry: Waiting) {
        let entry = waitingForPlace(entry)
        nextWaitingDeadline = min(nextWaitingDeadline, entry.deadline)
        line.append(entry)
    }

    private func waitingForPlace(_ entry: Waiting) -> Waiting {
        var entry = entry
        entry.deadline = entry.startedAt + max(0, entry.job.request.timeout.nanoseconds)
        return entry
    }

    private func note(_ entry: Waiting) {
        let host = entry.target.host
        if !host.isCrowded {
            host.isCrowded = true
            crowded.append(host)
        }
        nextWaitingDeadline = min(nextWaitingDeadline, entry.deadline)
    }

    /// Goes on with all requests that waited for this host's addresses.
    func resume(_ host: Host, now: Int64) {
        var waiting = host.unnamed
        host.unnamed = WaitingLine()
        while var entry = waiting.popFirst() {
            entry.dns = Int((now - entry.startedAt) / 1_000)
            switch HostTable.readiness(of: host) {
            case .ready: launch(entry, now: now)
            case .failed(let failure): fail(entry, failure, now: now)
            case .waits: waitForName(entry)
            }
        }
        forgetEmptyHosts()
    }

    /// Starts what waited for a place, as far as there are places now.
    ///
    /// What may start but finds none goes to the common line: at its host nothing might happen that brings it back.
    func admitWaiting(now: Int64) {
        let hosts = settled.hosts
        settled.hosts = []
        for host in hosts {
            while let next = host.held.first, !mustHold(host, isSecure: next.target.isSecure) {
                _ = host.held.popFirst()
                launch(next, now: now)
            }
        }
        while active.count < configuration.settings.maxConnections, let entry = line.popFirst() {
            launch(entry, now: now)
        }
        forgetEmptyHosts()
    }

    /// Ends requests whose time ran out while they waited.
    func expireWaiting(now: Int64) {
        removeWaiting {
            $0.deadline <= now
        } then: { entry, isNamed in
            var entry = entry
            if !isNamed { entry.dns = Int((now - entry.startedAt) / 1_000) }
            fail(entry, overdue(entry, isNamed: isNamed), now: now)
        }
        nextWaitingDeadline = crowded.reduce(line.nextDeadline) {
            min($0, $1.unnamed.nextDeadline, $1.held.nextDeadline)
        }
    }

    private func overdue(_ entry: Waiting, isNamed: Bool) -> Failure {
        if isNamed { return Failure(kind: .timeout, message: "the time ran out before a connection was free") }
        if hosts.isQueued(entry.target.host) {
            return Failure(kind: .worker, message: "the time ran out before the name lookup began")
        }
        // The name that is looked up is the proxy's then.
        return Failure(
            kind: entry.target.isProxied ? .proxy : .timeout, message: "the time ran out during the name lookup")
    }

    /// Ends what tasks awaited that are cancelled.
    func cancel(_ mail: Mail) {
        let replies = Set(mail.cancelledReplies)
        cancel { job in job.reply.map { replies.contains($0.id) } ?? false }
    }

    /// Ends everything there is.
    func cancelEverything() {
        cancel { _ in true }
    }

    private func cancel(_ isMeant: (Job) -> Bool) {
        for transfer in active where transfer.job.map(isMeant) == true {
            finish(transfer, CURLE_ABORTED_BY_CALLBACK)
        }
        removeWaiting {
            isMeant($0.job)
        } then: { entry, _ in
            hand(.cancelled(token: entry.job.request.token), to: entry.job.reply)
        }
    }

    private func removeWaiting(_ isMeant: (Waiting) -> Bool, then: (_ entry: Waiting, _ isNamed: Bool) -> Void) {
        for host in crowded {
            for entry in host.unnamed.remove(where: isMeant) { then(entry, false) }
            for entry in host.held.remove(where: isMeant) { then(entry, true) }
        }
        for entry in line.remove(where: isMeant) { then(entry, true) }
        forgetEmptyHosts()
    }

    private func forgetEmptyHosts() {
        crowded.removeAll { host in
            host.isCrowded = host.hasWaiting
            return !host.isCrowded
        }
    }
}
