// Dates of HTTP (RFC 9110 section 5.6.7): IMF-fixdate, RFC 850 and asctime. Called by RetryAfter.

/// Reading of HTTP dates.
enum HTTPDate {
    private static let months = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ]

    /// Gives the unix seconds of a date; nil when it is none. The name of the day is not compared with the date.
    ///
    /// - Parameter nowUnixSeconds: Now, which decides the century of RFC 850's two-digit years.
    static func unixSeconds(_ text: ArraySlice<UInt8>, nowUnixSeconds: Int64) -> Int64? {
        let words = text.split { $0 == 0x20 || $0 == UInt8(ascii: ",") }.map { String(decoding: $0, as: UTF8.self) }
        switch words.count {
        case 6:  // Sun, 06 Nov 1994 08:49:37 GMT
            guard isZone(words[5]) else { return nil }
            return instant(year: number(words[3], 4), month: words[2], day: number(words[1], 2), time: words[4])
        case 5:  // Sun Nov  6 08:49:37 1994
            let day = number(words[2], words[2].utf8.count)
            return instant(year: number(words[4], 4), month: words[1], day: day, time: words[3])
        case 4:  // Sunday, 06-Nov-94 08:49:37 GMT
            let date = words[1].split(separator: "-").map(String.init)
            guard isZone(words[3]), date.count == 3, let short = number(date[2], 2) else { return nil }
            let year = century(of: short, nowUnixSeconds)
            return instant(year: year, month: date[1], day: number(date[0], 2), time: words[2])
        default:
            return nil
        }
    }

    private static func isZone(_ word: String) -> Bool { word == "GMT" || word == "UTC" }

    /// A year that appears to be more than 50 years ahead is one of the past.
    private static func century(of short: Int64, _ nowUnixSeconds: Int64) -> Int64 {
        let thisYear = Timestamp.civilDate(day: Timestamp.floorDivide(nowUnixSeconds, 86_400)).year
        let year = thisYear - thisYear % 100 + short
        return year > thisYear + 50 ? year - 100 : year
    }

    private static func instant(year: Int64?, month: String, day: Int64?, time: String) -> Int64? {
        let clock = time.split(separator: ":").map { number(String($0), 2) }
        guard let year, let day, let monthIndex = months.firstIndex(of: month.lowercased()), clock.count == 3,
            let hour = clock[0], let minute = clock[1], let second = clock[2],
            hour < 24, minute < 60, second <= 60, day >= 1
        else { return nil }
        let days = Timestamp.day(year: year, month: Int64(monthIndex) + 1, day: day)
        // Gives 31 April away: it reads back as 1 May.
        let date = Timestamp.civilDate(day: days)
        guard date.day == day, date.month == Int64(monthIndex) + 1 else { return nil }
        return days * 86_400 + hour * 3600 + minute * 60 + second
    }

    /// A number of exactly `width` digits, 1 to 4.
    private static func number(_ text: String, _ width: Int) -> Int64? {
        guard text.utf8.count == width, (1...4).contains(width),
            text.utf8.allSatisfy({ (0x30...0x39).contains($0) })
        else { return nil }
        return Int64(text)
    }
}
