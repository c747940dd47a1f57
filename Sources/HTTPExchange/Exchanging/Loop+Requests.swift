// What is here: how requests start, wait for names, finish and are cancelled. Called by: Loop.run.

import CLibCurl

extension Loop {
    /// Starts what was posted: answers first, since they may let requests of the same mail start at once.
    func begin(_ mail: Mail, now: Int64) {
        for answer in mail.answers {
            guard let host = hosts.take(answer, now: now) else { continue }
            let waiting = host.waiting
            host.waiting = []
            awaited.removeAll { $0 === host }
            for entry in waiting { resume(entry, now: now) }
        }
        for batch in mail.batches {
            for request in batch { begin(Job(request: request, reply: nil), now: now) }
        }
        for job in mail.performed { begin(job, now: now) }
    }

    /// Hands requests back that came too late to be started.
    func refuse(_ mail: Mail) {
        for batch in mail.batches {
            for request in batch { hand(.cancelled(token: request.token), to: nil) }
        }
        for job in mail.performed { hand(.cancelled(token: job.request.token), to: job.reply) }
    }

    private func begin(_ job: Job, now: Int64) {
        counters.started.increment()
        do throws(Failure) {
            let target = try hosts.target(for: job.request.url)
            guard target.isSecure || job.request.allowsHTTP else {
                throw Failure(kind: .invalidRequest, message: "plain http is not allowed")
            }
            switch hosts.readiness(of: target.host, now: now) {
            case .ready: launch(job, target, waited: 0)
            case .failed(let failure): throw failure
            case .waits: wait(job, target, now: now)
            }
        } catch {
            hand(.failed(token: job.request.token, error), to: job.reply)
        }
    }

    private func wait(_ job: Job, _ target: Target, now: Int64) {
        let limit = min(job.request.timeout, job.request.connectTimeout).nanoseconds
        let deadline = now + max(0, limit)
        if target.host.waiting.isEmpty { awaited.append(target.host) }
        target.host.waiting.append(Host.Waiting(job: job, target: target, startedAt: now, deadline: deadline))
        nextWaitingDeadline = min(nextWaitingDeadline, deadline)
    }

    /// Goes on with a request whose host has an answer now.
    private func resume(_ entry: Host.Waiting, now: Int64) {
        let waited = Int((now - entry.startedAt) / 1_000)
        switch HostTable.readiness(entry.target.host.verdict) {
        case .ready:
            launch(entry.job, entry.target, waited: waited)
        case .failed(let failure):
            let timings = Timings(dns: waited, total: waited)
            hand(.failed(token: entry.job.request.token, failure, timings: timings), to: entry.job.reply)
        case .waits:
            break
        }
    }

    /// Gives a request to libcurl.
    private func launch(_ job: Job, _ target: Target, waited: Int) {
        guard let transfer = free.popLast() ?? Transfer(configuration, sockets: sockets) else {
            let failure = Failure(kind: .connect, message: "no memory for another transfer")
            return hand(.failed(token: job.request.token, failure), to: job.reply)
        }
        do throws(Failure) {
            try transfer.prepare(job, target, pins: { self.hosts.pins(for: target.host) }, waited: waited)
        } catch {
            transfer.clear()
            free.append(transfer)
            return hand(.failed(token: job.request.token, error), to: job.reply)
        }
        target.host.transfers += 1
        transfer.position = active.count
        active.append(transfer)
        counters.inFlight.increment()
        curl_multi_add_handle(multi, transfer.easy)
    }

    /// Ends a transfer that libcurl is done with.
    func finish(_ transfer: Transfer, _ code: CURLcode) {
        guard let job = transfer.job else { return }
        let exchange = transfer.exchange(code)
        if exchange.reusedConnection { counters.connectionsReused.increment() }
        release(transfer)
        hand(exchange, to: job.reply)
    }

    /// Takes a transfer away from libcurl and keeps it for the next request.
    private func release(_ transfer: Transfer) {
        curl_multi_remove_handle(multi, transfer.easy)
        counters.inFlight.increment(by: -1)
        transfer.target?.host.transfers -= 1
        let last = active.removeLast()
        if last !== transfer {
            active[transfer.position] = last
            last.position = transfer.position
        }
        transfer.clear()
        if free.count < configuration.settings.maxConnections { free.append(transfer) }
    }

    private func hand(_ exchange: Exchange, to reply: Reply?) {
        counters.finished.increment()
        if let reply {
            reply.continuation.resume(returning: exchange)
        } else {
            finished.append(exchange)
        }
    }
}

extension Loop {
    /// Ends what the mail names.
    func cancel(_ mail: Mail) {
        if mail.cancelsAll { return cancelEverything() }
        let tokens = Set(mail.cancelledTokens)
        let replies = Set(mail.cancelledReplies)
        cancel { job in
            if let reply = job.reply { replies.contains(reply.id) } else { tokens.contains(job.request.token) }
        }
    }

    /// Ends everything there is.
    func cancelEverything() {
        cancel { _ in true }
    }

    /// Ends requests whose time ran out before their host had an address.
    func expireWaiting(now: Int64) {
        let failure = Failure(kind: .timeout, message: "the time ran out during the name lookup")
        nextWaitingDeadline = .max
        removeWaiting {
            $0.deadline <= now
        } then: { entry in
            let waited = Int((now - entry.startedAt) / 1_000)
            hand(
                .failed(token: entry.job.request.token, failure, timings: Timings(dns: waited, total: waited)),
                to: entry.job.reply)
        }
        for host in awaited {
            for entry in host.waiting { nextWaitingDeadline = min(nextWaitingDeadline, entry.deadline) }
        }
    }

    private func cancel(_ isMeant: (Job) -> Bool) {
        for transfer in active where transfer.job.map(isMeant) == true {
            guard let job = transfer.job else { continue }
            let exchange = transfer.exchange(CURLE_ABORTED_BY_CALLBACK)
            release(transfer)
            hand(exchange, to: job.reply)
        }
        removeWaiting {
            isMeant($0.job)
        } then: { entry in
            hand(.cancelled(token: entry.job.request.token), to: entry.job.reply)
        }
    }

    private func removeWaiting(_ isMeant: (Host.Waiting) -> Bool, then: (Host.Waiting) -> Void) {
        for host in awaited {
            let removed = host.waiting.filter(isMeant)
            host.waiting.removeAll(where: isMeant)
            removed.forEach(then)
        }
        awaited.removeAll { $0.waiting.isEmpty }
    }
}
