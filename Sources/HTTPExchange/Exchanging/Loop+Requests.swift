// What is here: how requests start and finish. Called by: Loop.run, Loop+Waiting.

import CLibCurl

extension Loop {
    /// Starts what was posted: answers first, since they may let requests of the same mail start at once.
    func begin(_ mail: Mail, now: Int64) {
        for answer in mail.answers {
            if let host = hosts.take(answer, now: now) { resume(host, now: now) }
        }
        if mail.cancelsAll {
            refuse(mail.batches[..<mail.cancelledBatches], mail.performed[..<mail.cancelledJobs])
        }
        for batch in mail.batches.dropFirst(mail.cancelledBatches) {
            for request in batch { begin(Job(request: request, reply: nil), now: now) }
        }
        for job in mail.performed.dropFirst(mail.cancelledJobs) { begin(job, now: now) }
    }

    /// Hands requests back that are not to be started.
    func refuse(_ batches: ArraySlice<[Request]>, _ performed: ArraySlice<Job>) {
        for batch in batches {
            for request in batch { refuse(Job(request: request, reply: nil)) }
        }
        for job in performed { refuse(job) }
    }

    private func refuse(_ job: Job) {
        counters.started.increment()
        hand(.cancelled(token: job.request.token), to: job.reply)
    }

    private func begin(_ job: Job, now: Int64) {
        counters.started.increment()
        do throws(Failure) {
            let target = try target(of: job.request)
            guard target.isSecure || job.request.allowsHTTP else {
                throw Failure(kind: .invalidRequest, message: "plain http is not allowed")
            }
            let entry = Waiting(job: job, target: target, startedAt: now, deadline: .max)
            switch hosts.readiness(of: target.host, now: now) {
            case .ready: launch(entry, now: now)
            case .failed(let failure): throw failure
            case .waits: waitForName(entry)
            }
        } catch {
            hand(.failed(token: job.request.token, error), to: job.reply)
        }
    }

    private func target(of request: Request) throws(Failure) -> Target {
        guard let proxy = request.route?.proxy else { return try hosts.target(for: request.url) }
        return try hosts.target(for: request.url, through: proxy)
    }

    /// Gives a request whose host may be dialed to libcurl, or lets it wait for a place.
    func launch(_ entry: Waiting, now: Int64) {
        let host = entry.target.host
        guard active.count < configuration.settings.maxConnections else { return waitInLine(entry) }
        guard !mustHold(host, isSecure: entry.target.isSecure) else { return hold(entry) }
        guard let transfer = free.popLast() ?? Transfer(configuration, sockets: sockets, settled: settled) else {
            return fail(entry, Failure(kind: .worker, message: "no memory for another transfer"), now: now)
        }
        do throws(Failure) {
            try transfer.prepare(entry, now: now) { hosts.pins(for: host) }
        } catch {
            transfer.clear()
            free.append(transfer)
            return fail(entry, error, now: now)
        }
        host.admit()
        transfer.position = active.count
        active.append(transfer)
        counters.inFlight.increment()
        curl_multi_add_handle(multi, transfer.easy)
    }

    /// Whether a further request to the host has to wait for those under way.
    ///
    /// The first one to a secure host goes ahead until it has its connection: over HTTP/2 that one carries all of them, and
    /// over HTTP/1.1 the others may resume its TLS session, which costs both sides a fraction of a whole handshake.
    /// libcurl's `CURLOPT_PIPEWAIT` would do the same, with one queue for all hosts: one that hangs would stop others.
    func mustHold(_ host: Host, isSecure: Bool) -> Bool {
        let limit = configuration.settings.maxConnectionsPerHost
        if limit > 0, host.transfers >= limit { return true }
        // Behind a proxy are many receivers, and one of them must not hold up the others.
        guard !host.isProxy else { return false }
        return isSecure && host.transfers > 0 && !host.isSettled
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
    func release(_ transfer: Transfer) {
        curl_multi_remove_handle(multi, transfer.easy)
        counters.inFlight.increment(by: -1)
        if let host = transfer.target?.host {
            host.transfers -= 1
            // libcurl may never have seen them, and everyone behind would have no address.
            if transfer.bringsPins, !transfer.hasConnection { host.isPinned = false }
            if !host.held.isEmpty { settled.hosts.append(host) }
        }
        let last = active.removeLast()
        if last !== transfer {
            active[transfer.position] = last
            last.position = transfer.position
        }
        transfer.clear()
        if !transfer.isSpent, free.count < configuration.settings.maxConnections { free.append(transfer) }
    }

    /// Ends a request that libcurl never got.
    func fail(_ entry: Waiting, _ failure: Failure, now: Int64) {
        let timings = Timings(dns: entry.dns, total: Int((now - entry.startedAt) / 1_000))
        hand(.failed(token: entry.job.request.token, failure, timings: timings), to: entry.job.reply)
    }

    /// Gives an outcome to whoever waits for it.
    func hand(_ exchange: Exchange, to reply: Reply?) {
        counters.finished.increment()
        if let reply {
            reply.continuation.resume(returning: exchange)
        } else {
            finished.append(exchange)
        }
    }
}
