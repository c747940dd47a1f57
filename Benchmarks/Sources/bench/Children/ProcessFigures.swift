// What the kernel knows of a process: CPU, memory, wake-ups. Scenarios read it before and after.

import Glibc

/// Figures of processes, from proc(5).
enum ProcessFigures {
    private static let tick = 1_000_000 / Double(max(1, sysconf(Int32(_SC_CLK_TCK))))

    /// CPU of a process so far, user and system, in microseconds; 0 when it is gone. Its resolution is a hundredth of
    /// a second.
    ///
    /// - Parameter withChildren: counts children that ended and were waited for, too.
    static func cpuMicroseconds(_ pid: pid_t, withChildren: Bool = false) -> Double {
        guard let fields = stat(pid) else { return 0 }
        // Field 14 is utime, 15 stime, 16 and 17 the same of ended children; the list begins at field 3.
        let ticks = fields[11...(withChildren ? 14 : 12)].reduce(0) { $0 + (Double($1) ?? 0) }
        return ticks * tick
    }

    /// Whether a signal has stopped a process.
    static func isStopped(_ pid: pid_t) -> Bool { stat(pid)?.first == "T" }

    /// The parent of a process.
    static func parent(of pid: pid_t) -> pid_t? {
        stat(pid).flatMap { pid_t($0[1]) }
    }

    /// CPU of a process and all of its children, ended ones included, in microseconds. Of the first process of a
    /// Postgres server that is the CPU of the whole server.
    static func cpuOfFamilyMicroseconds(_ pid: pid_t) -> Double {
        let children = (readText("/proc/\(pid)/task/\(pid)/children") ?? "").split(separator: " ")
        return children.compactMap { pid_t($0) }.reduce(cpuMicroseconds(pid, withChildren: true)) {
            $0 + cpuMicroseconds($1)
        }
    }

    /// Highest resident memory so far and the present one, in bytes; 0 when the process is gone.
    static func memoryBytes(_ pid: pid_t) -> (peak: Double, now: Double) {
        let status = readText("/proc/\(pid)/status") ?? ""
        return (number("VmHWM:", in: status) * 1024, number("VmRSS:", in: status) * 1024)
    }

    /// How often the threads of a process went to sleep by themselves, which is how often they were woken.
    static func wakeUps(_ pid: pid_t) -> Double {
        guard let folder = opendir("/proc/\(pid)/task") else { return 0 }
        defer { closedir(folder) }
        var sum = 0.0
        while let entry = readdir(folder) {
            let thread = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard pid_t(thread) != nil else { continue }
            sum += number("voluntary_ctxt_switches:", in: readText("/proc/\(pid)/task/\(thread)/status") ?? "")
        }
        return sum
    }

    // From field 3 on: the name in field 2 may hold spaces and brackets, so counting starts after its last bracket.
    private static func stat(_ pid: pid_t) -> [Substring]? {
        guard let text = readText("/proc/\(pid)/stat"), let end = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        return fields.count > 15 ? fields : nil
    }

    private static func number(_ name: String, in text: String) -> Double {
        for line in text.split(separator: "\n") where line.hasPrefix(name) {
            return Double(line.split(whereSeparator: { $0 == " " || $0 == "\t" })[1]) ?? 0
        }
        return 0
    }
}
