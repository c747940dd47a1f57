// Instants as text: ISO 8601 in UTC with milliseconds, and plain decimal numbers.
// Called while envelopes and headers are written; no calendar library, no locale.

/// Instants written as bytes.
enum Timestamp {
    /// Appends `2024-01-31T23:59:59.123Z`, 24 bytes for the years 0 to 9999, for unix microseconds rounded down.
    static func appendISO8601(microseconds: Int64, to output: inout [UInt8]) {
        let milliseconds = floorDivide(microseconds, 1000)
        let seconds = floorDivide(milliseconds, 1000)
        let date = civilDate(day: floorDivide(seconds, 86_400))
        let second = seconds - floorDivide(seconds, 86_400) * 86_400
        appendPadded(date.year, width: 4, to: &output)
        output.append(UInt8(ascii: "-"))
        appendPadded(date.month, width: 2, to: &output)
        output.append(UInt8(ascii: "-"))
        appendPadded(date.day, width: 2, to: &output)
        output.append(UInt8(ascii: "T"))
        appendPadded(second / 3600, width: 2, to: &output)
        output.append(UInt8(ascii: ":"))
        appendPadded(second / 60 % 60, width: 2, to: &output)
        output.append(UInt8(ascii: ":"))
        appendPadded(second % 60, width: 2, to: &output)
        output.append(UInt8(ascii: "."))
        appendPadded(milliseconds - seconds * 1000, width: 3, to: &output)
        output.append(UInt8(ascii: "Z"))
    }

    /// Appends a decimal number without leading zeros.
    static func appendDecimal(_ value: Int64, to output: inout [UInt8]) {
        if value < 0 { output.append(UInt8(ascii: "-")) }
        appendDigits(value.magnitude, width: 1, to: &output)
    }

    /// Reads what `appendISO8601` writes, rounded down to seconds; nil for every other form.
    static func unixSeconds(iso8601 text: ArraySlice<UInt8>) -> Int64? {
        let form = "0000-00-00T00:00:00.000Z".utf8
        guard text.count == form.count else { return nil }
        var numbers: [Int64] = [0]
        for (byte, mark) in zip(text, form) {
            if mark == UInt8(ascii: "0") {
                guard (0x30...0x39).contains(byte) else { return nil }
                numbers[numbers.count - 1] = numbers[numbers.count - 1] * 10 + Int64(byte - 0x30)
            } else {
                guard byte == mark else { return nil }
                numbers.append(0)
            }
        }
        let (month, day, hour, minute, second) = (numbers[1], numbers[2], numbers[3], numbers[4], numbers[5])
        guard (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second < 60 else { return nil }
        return self.day(year: numbers[0], month: month, day: day) * 86_400 + hour * 3600 + minute * 60 + second
    }

    /// Days since 1970-01-01 of a date of the proleptic Gregorian calendar.
    static func day(year: Int64, month: Int64, day: Int64) -> Int64 {
        // The year is taken to begin in March, so that the leap day is its last; eras are 400 years.
        let shifted = month <= 2 ? year - 1 : year
        let era = floorDivide(shifted, 400)
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    /// The inverse of `day(year:month:day:)`.
    static func civilDate(day: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = day + 719_468
        let era = floorDivide(shifted, 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * marchMonth + 2) / 5 + 1)
    }

    /// Division that rounds towards minus infinity, so that instants before 1970 keep their order.
    static func floorDivide(_ value: Int64, _ divisor: Int64) -> Int64 {
        let quotient = value / divisor
        return value % divisor < 0 ? quotient - 1 : quotient
    }

    private static func appendPadded(_ value: Int64, width: Int, to output: inout [UInt8]) {
        if value < 0 { output.append(UInt8(ascii: "-")) }
        appendDigits(value.magnitude, width: width, to: &output)
    }

    private static func appendDigits(_ value: UInt64, width: Int, to output: inout [UInt8]) {
        var divisor: UInt64 = 1
        var count = 1
        while count < width || (value / divisor >= 10) {
            divisor *= 10
            count += 1
        }
        while divisor > 0 {
            output.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value / divisor % 10))
            divisor /= 10
        }
    }
}
