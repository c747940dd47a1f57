// Hands jobs to libpq. Called by Session when a job's turn has come.

internal import CLibPQ

extension Session {
    /// Puts a whole job into libpq's output buffer.
    ///
    /// - Returns: false when libpq refuses it, which leaves the connection in no state to go on.
    mutating func send(_ job: Job, on handle: OpaquePointer) -> Bool {
        switch job.work {
        case .script(let sql): return PQsendQuery(handle, sql) == 1
        case .pipeline(let steps, let parameters):
            // Pipeline mode lasts for one job: outside of it libpq also handles what an idle connection may receive
            // (parameter changes, the server's farewell), in it such messages block everything behind them.
            guard PQenterPipelineMode(handle) == 1 else { return false }
            job.commands.reserveCapacity(steps.count)
            job.results.reserveCapacity(steps.count)
            for index in steps.indices {
                guard send(steps[index], parameters[index], at: index, of: job, on: handle) else { return false }
            }
            return PQpipelineSync(handle) == 1
        }
    }

    /// Sends one step, preparing its statement first if this connection has not.
    private mutating func send(
        _ step: Step, _ parameters: ParameterBuffer, at index: Int, of job: Job, on handle: OpaquePointer
    ) -> Bool {
        let statement = step.statement
        let count = Int32(parameters.types.count)
        guard prepares, statement.prepare, let (name, isNew) = prepared(step, parameters) else {
            job.commands.append(.execute(step: index))
            return parameters.withPointers { values, lengths, formats in
                PQsendQueryParams(handle, statement.sql, count, parameters.types, values, lengths, formats, 1) == 1
            }
        }
        if isNew {
            guard PQsendPrepare(handle, name, statement.sql, count, parameters.types) == 1 else { return false }
            job.commands.append(.prepare(step: index, name: name))
        }
        job.commands.append(.execute(step: index))
        return parameters.withPointers { values, lengths, formats in
            PQsendQueryPrepared(handle, name, count, values, lengths, formats, 1) == 1
        }
    }

    /// The server-side name for a step.
    private mutating func prepared(_ step: Step, _ parameters: ParameterBuffer) -> (name: String, isNew: Bool)? {
        statements.name(step.statement, types: parameters.types) { index in
            if case .null = step.parameters[index].content { return true }
            return false
        }
    }

    /// Writes what the socket takes (`PQflush`) and has the reactor report when it takes more.
    ///
    /// A failed write is not reported here: the server's reason may be waiting to be read, and reading finds both.
    mutating func flush() {
        guard let handle, let token else { return }
        let isPending = PQflush(handle) == 1
        if isPending == hasPendingOutput { return }
        hasPendingOutput = isPending
        Reactor.shared.watch(token, descriptor: descriptor, forOutput: isPending)
    }
}
