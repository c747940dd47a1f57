// What is here: POSIX threads that run one closure.
// Called by: Exchanger for its loop, Lookups for the calls that block.

import Glibc

/// Starts POSIX threads. All signals are blocked in them, so that the program's own threads receive them, and SIGPIPE
/// from a TLS write reaches nobody.
enum Thread {
    private final class Box {
        let body: () -> Void
        init(_ body: @escaping () -> Void) { self.body = body }
    }

    /// Starts a thread that runs the body once. The caller joins or detaches it.
    ///
    /// - Throws: `ExchangerError` when the kernel refuses.
    static func start(_ body: @escaping () -> Void) throws(ExchangerError) -> pthread_t {
        let box = Unmanaged.passRetained(Box(body))
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body()
                return nil
            }, box.toOpaque())
        guard code == 0 else {
            box.release()
            throw ExchangerError(operation: "pthread_create", code: code)
        }
        return thread
    }
}
