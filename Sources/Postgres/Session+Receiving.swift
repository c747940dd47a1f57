// Takes in what the server sends. Called on the reactor's thread when the socket is ready.

internal import CLibPQ

extension Session {
    /// Reads the socket, answers the running job when it is complete, and collects notifications.
    mutating func receive(_ effects: inout Effects) {
        guard let handle else { return }
        // Reading goes first and on every occasion: a server that cannot send its results stops taking parameters.
        let isAlive = PQconsumeInput(handle) == 1
        if hasPendingOutput { flush() }
        if let job = running { drain(job, on: handle, &effects) }
        guard let handle = self.handle else { return }
        collectNotifications(handle, &effects)
        if !isAlive || PQstatus(handle) == CONNECTION_BAD { end(lossOfConnection(), &effects) }
    }

    /// Takes all results that have arrived in full.
    private mutating func drain(_ job: Job, on handle: OpaquePointer, _ effects: inout Effects) {
        var ends = 0
        while !job.isDrained, PQisBusy(handle) == 0 {
            guard let result = PQgetResult(handle) else {
                if case .script = job.work { job.isDrained = true }
                // Each command's results end with nil. A second nil in a row means that nothing is outstanding, and
                // that the synchronisation point was lost with the connection.
                ends += 1
                if ends > 1 { break }
                continue
            }
            ends = 0
            guard take(result, for: job) else {
                let message = "COPY is not supported here"
                return end(PostgresError(code: .server, message: message, sqlState: "0A000"), &effects)
            }
        }
        if job.isDrained, PQstatus(handle) == CONNECTION_OK {
            if case .pipeline = job.work { _ = PQexitPipelineMode(handle) }
            complete(job, &effects)
        }
    }

    /// Takes one result.
    ///
    /// - Returns: false for a COPY, which neither pipelines nor scripts can continue.
    private mutating func take(_ result: OpaquePointer, for job: Job) -> Bool {
        switch PQresultStatus(result) {
        case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY:
            accept(result, for: job)
        case PGRES_FATAL_ERROR:
            fail(result, for: job)
            PQclear(result)
        case PGRES_PIPELINE_ABORTED:
            forgetUnprepared(job)
            job.answered += 1
            PQclear(result)
        case PGRES_PIPELINE_SYNC:
            job.isDrained = true
            PQclear(result)
        case PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH:
            PQclear(result)
            return false
        default:
            PQclear(result)
        }
        return true
    }

    /// Keeps the result of a step; the confirmation of a prepared statement has nothing to keep.
    private func accept(_ result: OpaquePointer, for job: Job) {
        guard case .pipeline = job.work else {
            return job.results.append(Rows(owning: result, queryName: job.name))
        }
        defer { job.answered += 1 }
        guard job.answered < job.commands.count, case .execute = job.commands[job.answered] else {
            return PQclear(result)
        }
        job.results.append(Rows(owning: result, queryName: job.currentStep?.statement.name ?? job.name))
    }

    /// Notes an error; the first one counts.
    private mutating func fail(_ result: OpaquePointer, for job: Job) {
        let step = job.currentStep
        let error = PostgresError(
            result: result, name: step?.statement.name ?? job.name, values: step?.parameters ?? [])
        forgetUnprepared(job)
        if error.isStalePreparedStatement { forgetStale(job) }
        job.error = job.error ?? error
        job.answered += 1
    }

    /// Forgets a statement whose preparation failed or was skipped.
    private mutating func forgetUnprepared(_ job: Job) {
        guard job.answered < job.commands.count else { return }
        if case .prepare(_, let name) = job.commands[job.answered] { statements.forget(name) }
    }

    /// Forgets a statement the server no longer knows or can no longer run, so that the next try prepares it anew.
    private mutating func forgetStale(_ job: Job) {
        guard case .pipeline(let steps, let parameters) = job.work, job.answered < job.commands.count,
            case .execute(let index) = job.commands[job.answered]
        else { return }
        let known = statements.name(steps[index].statement, types: parameters[index].types) { position in
            if case .null = steps[index].parameters[position].content { return true }
            return false
        }
        if let known { statements.forget(known.name) }
    }

    /// Takes the notifications that came with the input (`PQnotifies`).
    private func collectNotifications(_ handle: OpaquePointer, _ effects: inout Effects) {
        while let notify = PQnotifies(handle) {
            effects.notifications.append(
                Notification(
                    channel: String(cString: notify.pointee.relname), payload: String(cString: notify.pointee.extra),
                    processID: notify.pointee.be_pid))
            PQfreemem(notify)
        }
    }
}
