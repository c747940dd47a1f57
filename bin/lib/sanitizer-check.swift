// Faults for a sanitizer to find, and one thing that is none. Built and run by bin/sanitize before the tests.

import Glibc
import Synchronization

final class Plain: @unchecked Sendable { var value = 0 }
final class Guarded: Sendable {
    let lock = Mutex(())
    let plain = Plain()
}

/// Two threads that do the same at the same time.
func twice(_ body: @escaping @Sendable () -> Void) {
    final class Work {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    let threads = (0..<2).map { _ in
        var thread = pthread_t()
        let work = Unmanaged.passRetained(Work(body)).toOpaque()
        pthread_create(
            &thread, nil,
            { work in
                if let work { Unmanaged<Work>.fromOpaque(work).takeRetainedValue().body() }
                return nil
            }, work)
        return thread
    }
    for thread in threads { pthread_join(thread, nil) }
}

@inline(never) func leak() { UnsafeMutablePointer<Int>.allocate(capacity: 1000).initialize(to: 1) }

switch CommandLine.arguments.last {
case "race":
    let plain = Plain()
    twice { for _ in 0..<20_000 { plain.value += 1 } }
case "mutex":  // no fault: contended, and in order
    let guarded = Guarded()
    twice { for _ in 0..<20_000 { guarded.lock.withLock { _ in guarded.plain.value += 1 } } }
    precondition(guarded.plain.value == 40_000)
case "freed":
    let pointer = UnsafeMutablePointer<Int>.allocate(capacity: 1)
    pointer.initialize(to: 1)
    pointer.deallocate()
    print(pointer.pointee)
case "leak":
    for _ in 0..<10 { leak() }
default:
    exit(2)
}
