// The report as text for people.

/// Prints reports.
enum Table {
    /// The whole report: machine, one table for each variant, ratios, goals.
    static func text(_ report: Report) -> String {
        var lines = report.machine.lines
        for measurement in report.measurements {
            lines += ["", "\(measurement.scenario): \(measurement.variant)"]
            lines.append(row("", "median", "least", "greatest", ""))
            for figure in measurement.figures {
                lines.append(
                    row(
                        figure.name, number(figure.median), number(figure.least), number(figure.greatest), figure.unit))
            }
        }
        if !report.ratios.isEmpty {
            lines += ["", "Ratios of medians"]
            lines += report.ratios.map { "  \(padded($0.name, 68))\(fixed($0.value * 100, 1)) %" }
        }
        if !report.verdicts.isEmpty {
            lines += ["", "| goal | reached | |", "|---|---|---|"] + report.verdicts.map(\.row)
        }
        return lines.joined(separator: "\n")
    }

    private static func row(
        _ name: String, _ median: String, _ least: String, _ most: String, _ unit: String
    ) -> String {
        let line = "  " + padded(name, 34) + [median, least, most].map { padded($0, -12) }.joined() + "  " + unit
        return line.last == " " ? String(line.reversed().drop { $0 == " " }.reversed()) : line
    }

    /// Three or more digits, with commas between thousands.
    static func number(_ value: Double) -> String {
        if value.rounded() == value || abs(value) >= 100 { return grouped(value) }
        return fixed(value, abs(value) >= 10 ? 1 : 2)
    }

    private static func grouped(_ value: Double) -> String {
        var rest = Array(String(Int(value.magnitude.rounded())))
        var place = rest.count - 3
        while place > 0 {
            rest.insert(",", at: place)
            place -= 3
        }
        return (value.rounded() < 0 ? "-" : "") + String(rest)
    }

    /// A number with so many decimals.
    static func fixed(_ value: Double, _ decimals: Int) -> String {
        let scale = (0..<decimals).reduce(1) { product, _ in product * 10 }
        let scaled = Int((value.magnitude * Double(scale)).rounded())
        let fraction = String(scaled % scale)
        let zeros = String(repeating: "0", count: max(0, decimals - fraction.count))
        return (value < 0 && scaled > 0 ? "-" : "") + "\(scaled / scale)" + (decimals > 0 ? ".\(zeros)\(fraction)" : "")
    }

    // A negative width aligns to the right.
    private static func padded(_ text: String, _ width: Int) -> String {
        let space = String(repeating: " ", count: max(0, abs(width) - text.count))
        return width < 0 ? space + text : text + space
    }
}
