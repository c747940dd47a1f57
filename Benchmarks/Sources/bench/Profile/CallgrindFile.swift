// A file of valgrind's tool callgrind: how many instructions each function took. Scenarios read the difference of two.
//
// The format: https://valgrind.org/docs/manual/cl-format.html. Of it we read what callgrind writes with one event (Ir), no
// jumps and no addresses of instructions.

/// A function of the program or of a library.
struct ProfiledFunction: Hashable {
    /// The file of the library or program that holds it.
    let object: String
    /// Its name as the linker knows it; an address when there is none.
    let symbol: String
}

/// Instructions of one function.
struct FunctionCost {
    /// Instructions of the function itself.
    var own = 0.0
    /// With those of all functions it called, but for calls of itself. In a circle of functions that call each other they
    /// count several times.
    var withCalls = 0.0
}

/// The instructions of a process over some time.
struct CallgrindFile {
    /// Instructions of all functions.
    private(set) var total = 0.0
    /// By function.
    private(set) var functions: [ProfiledFunction: FunctionCost] = [:]

    /// Reads the text of a file.
    ///
    /// - Throws: ``BenchError`` when it is something else, or of another shape than expected.
    init(_ text: String) throws {
        var reader = Reader()
        for line in text.utf8.split(separator: UInt8(ascii: "\n")) { try reader.read(Substring(line)) }
        guard let summary = reader.summary, summary > 0 else {
            throw BenchError("The file of callgrind holds no instructions.")
        }
        functions = reader.functions
        total = functions.values.reduce(0) { $0 + $1.own }
        // The file says itself what its lines must add up to: what was misread would show.
        guard abs(total - summary) <= summary / 1000 else {
            throw BenchError("The file of callgrind says \(summary) instructions, and its lines add up to \(total).")
        }
    }

    /// What this has more than another, for each of so many deliveries. What stands in the other alone comes out negative.
    func cost(beyond other: CallgrindFile, each count: Int) -> CallgrindFile {
        var difference = self
        difference.total = (total - other.total) / Double(count)
        for (function, cost) in other.functions {
            difference.functions[function, default: FunctionCost()].own -= cost.own
            difference.functions[function, default: FunctionCost()].withCalls -= cost.withCalls
        }
        for function in difference.functions.keys {
            difference.functions[function]?.own /= Double(count)
            difference.functions[function]?.withCalls /= Double(count)
        }
        return difference
    }
}

/// Reads line by line.
private struct Reader {
    var summary: Double?
    var functions: [ProfiledFunction: FunctionCost] = [:]
    private var objects = Names()
    private var symbols = Names()
    private var object = ""
    private var calledObject: String?
    private var called: ProfiledFunction?
    private var calledSymbol = ""
    private var function = ProfiledFunction(object: "", symbol: "")

    mutating func read(_ line: Substring) throws {
        guard let first = line.utf8.first else { return }
        switch first {
        // A line number, or its distance from the one before, then instructions; none stands for 0.
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "*"):
            let fields = line.split(separator: " ")
            add(fields.count > 1 ? Double(fields[1]) ?? 0 : 0)
        default: try read(setting: line)
        }
    }

    private mutating func add(_ cost: Double) {
        if let called {
            // The line after "calls=": all instructions of these calls.
            if called != function { functions[function, default: FunctionCost()].withCalls += cost }
            self.called = nil
        } else {
            functions[function, default: FunctionCost()].own += cost
            functions[function, default: FunctionCost()].withCalls += cost
        }
    }

    private mutating func read(setting line: Substring) throws {
        let parts = line.split(separator: "=", maxSplits: 1)
        if let colon = line.firstIndex(of: ":"), parts.count < 2 || parts[0].endIndex > colon {
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            switch line[..<colon] {
            case "events":
                guard value == "Ir" else { throw BenchError("callgrind counted \(value), not Ir alone.") }
            case "summary", "totals": summary = Double(value) ?? summary
            default: break
            }
            return
        }
        guard parts.count == 2 else { return }
        switch parts[0] {
        case "ob": object = objects.name(parts[1])
        case "fn": function = ProfiledFunction(object: object, symbol: symbols.name(parts[1]))
        case "cob": calledObject = objects.name(parts[1])
        case "cfn": calledSymbol = symbols.name(parts[1])
        case "calls":
            called = ProfiledFunction(object: calledObject ?? object, symbol: calledSymbol)
            calledObject = nil
        default: break
        }
    }
}

/// Names of the file: written out once, as "(7) name", and later as "(7)".
private struct Names {
    private var known: [Substring: String] = [:]

    mutating func name(_ text: Substring) -> String {
        guard text.first == "(", let end = text.firstIndex(of: ")") else { return String(text) }
        let number = text[...end]
        let rest = text[text.index(after: end)...].drop { $0 == " " }
        if !rest.isEmpty { known[number] = String(rest) }
        return known[number] ?? String(number)
    }
}
