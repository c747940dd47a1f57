// Lists with commas in settings, options and headers: `a, b,c`.

/// Reads lists with commas.
enum CommaList {
    /// The entries that are not empty, without blanks around them; one of nothing but blanks is empty text.
    static func entries(_ list: String) -> [String] {
        list.split(separator: ",").map { entry in
            var entry = entry.drop(while: \.isWhitespace)
            while entry.last?.isWhitespace == true { entry.removeLast() }
            return String(entry)
        }
    }
}
