// Tables for people: aligned columns, no lines, no colours.

/// Rows under headings.
struct Table {
    let headings: [String]
    var rows: [[String]] = []

    /// The table as text, a line each, without spaces at the ends; only the headings when there are no rows.
    func lines() -> [String] {
        let all = [headings.map { $0.uppercased() }] + rows
        let widths = headings.indices.map { column in all.map { Self.width($0[column]) }.max() ?? 0 }
        return all.map { row in
            let cells = zip(row, widths).map { cell, width in
                cell + String(repeating: " ", count: max(0, width - Self.width(cell)))
            }
            let line = cells.joined(separator: "  ")
            return String(line.reversed().drop { $0 == " " }.reversed())
        }
    }

    /// Columns a terminal needs; East Asian wide characters and emoji take two.
    private static func width(_ text: String) -> Int {
        text.unicodeScalars.reduce(0) { sum, scalar in
            switch scalar.value {
            case 0x300...0x36F, 0x200B...0x200D, 0xFE00...0xFE0F: sum
            case 0x1100...0x115F, 0x2E80...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F,
                0xFF00...0xFF60, 0x1F300...0x1FAFF, 0x20000...0x3FFFD:
                sum + 2
            default: sum + 1
            }
        }
    }
}
