// URLs that must pass and URLs that must never pass: one list for the gate of the program and for the gate in SQL.

/// Cases for whatever judges the URL of a destination.
public enum URLCases {
    /// URLs that pass, with host and port as they are dialled.
    public static let sound: [(String, String, UInt16)] = [
        ("https://example.org", "example.org", 443), ("http://example.org/", "example.org", 80),
        ("HTTPS://Example.ORG/Path", "example.org", 443), ("https://example.org:8443/a?b=c&d=e", "example.org", 8443),
        ("http://localhost:1/x", "localhost", 1), ("http://127.0.0.1:65535", "127.0.0.1", 65535),
        ("https://[2001:db8::1]:8443/h", "2001:db8::1", 8443), ("http://[::1]", "::1", 80),
        ("http://[::]/", "::", 80), ("http://[::ffff:1.2.3.4]/", "::ffff:1.2.3.4", 80),
        ("https://[1:2:3:4:5:6:7:8]", "1:2:3:4:5:6:7:8", 443), ("https://[1:2:3:4:5:6:7::]", "1:2:3:4:5:6:7::", 443),
        ("https://xn--bcher-kva.example/ü".replacing("ü", with: "%C3%BC"), "xn--bcher-kva.example", 443),
        ("http://my_service.internal:8080/webhook/user-registration", "my_service.internal", 8080),
        ("https://example.org?x=1", "example.org", 443),
        ("https://1.example.org/a;b,c=$1!*'()~+:@", "1.example.org", 443),
        ("https://example.org/a?b[]=1", "example.org", 443), ("https://a.b-c.d9/", "a.b-c.d9", 443),
        ("https://0x.org/", "0x.org", 443), ("https://example.org/../..//", "example.org", 443),
    ]

    /// URLs that are refused: by the rules of docs/wire.md, or because some parser reads another host than the next one.
    public static let hostile: [String] = [
        "", " ", "example.org", "//example.org", "/path", "ftp://example.org", "file:///etc/passwd", "gopher://x/",
        "javascript:alert(1)", "https:/example.org", "https:example.org", "https//example.org", "http://", "https:///x",
        "https://?x", "https://:80/", "https:// example.org", " https://example.org", "https://example.org ",
        "https://example.org/a b", "https://example.org/\r\nHost: evil", "https://example.org\n",
        "https://exa\tmple.org",
        "https://example.org/\0", "https://example.org/\u{7F}", "https://user@example.org",
        "https://user:pw@example.org/",
        "https://example.org@evil.example/", "https://@example.org", "https://example.org%40evil.example/",
        "https://exa%6dple.org", "https://example.org%00.evil.example", "https://127.0.0.1%2f@x",
        "https://[::1%25eth0]/",
        "https://[fe80::1%eth0]/", "https://[::1", "https://::1/", "https://[::1]x/", "https://[]/", "https://[:]/",
        "https://[:::]/", "https://[1::2::3]/", "https://[1:2:3:4:5:6:7:8:9]/", "https://[1:2:3:4:5:6:7:8::]/",
        "https://[12345::]/", "https://[g::]/", "https://[1.2.3.4]/", "https://[::1.2.3]/", "https://[::1.2.3.256]/",
        "https://[::1.2.3.4:5]/", "https://[1:2]/", "https://[::1]:/", "https://example.org:/",
        "https://example.org:0/",
        "https://example.org:65536/", "https://example.org:080/", "https://example.org:+80/", "https://example.org:-1/",
        "https://example.org:80a/", "https://example.org:999999/", "https://example.org:80:80/",
        "https://example..org/",
        "https://.example.org/", "https://example.org./", "https://-example.org/", "https://example-.org/",
        "https://bücher.example/", "https://ｅxample.org/", "https://example。org/", "https://exam\u{200B}ple.org/",
        "https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://0x7f.0.0.1/", "https://0177.0.0.1/",
        "https://127.0.0.01/", "https://127.0.0.256/", "https://127.0.0/", "https://1.2.3.4.5/", "https://999.1/",
        "https://127.0.0.0x1/", "https://0x/", "https://example.org\\@evil.example/", "https://example.org\\evil",
        "https:\\\\example.org/", "https://example.org/<a>", "https://example.org/\"", "https://example.org/{a}",
        "https://example.org/a|b", "https://example.org/a^b", "https://example.org/`", "https://example.org/%",
        "https://example.org/%4", "https://example.org/%zz", "https://example.org/#fragment", "https://example.org#f",
        "https://exa$mple.org/", "https://exa,mple.org/", "https://exa;mple.org/", "https://*.example.org/",
        "https://" + String(repeating: "a", count: 64) + ".org/",
        "https://" + String(repeating: "a.", count: 127) + "org/",
        "https://example.org/" + String(repeating: "a", count: 2048),
        // Backslashes, tabs, line breaks and dots where parsers disagree.
        "http:\\\\example.org", "http:/\\example.org/", "https:\t//example.org", "ht\ntps://example.org",
        "https://example.org\t/", "https://\texample.org/", "https://example.org:80\t/", "https://example.org:8\r0/",
        "https://0177.1/", "https://0x7f.1/", "https://0X7F.1/", "https://127.0.0.1./", "https://127.0.0.1../",
        "https://017700000001/", "https://127.00.0.1/", "https://1e3.0.0.1.0x1/", "https://0/", "https://4294967296/",
        "https://[::ffff:0177.0.0.1]/", "https://[::ffff:7f.0.0.1]/", "https://[0:0:0:0:0:0:0:0:1]/",
        "https://[::1]:0/", "https://[::1]:65536/", "https://[::1]:1x/", "https://[::1].example.org/",
        "https://[v1.fe80::]/", "https://[::1/]", "https://localhost:/", "https://host:443:443/", "https://./", "https://../",
        "https://user:@example.org", "https://:@example.org", "https://example.org:443@evil.example/",
        "https://example.org%2f@evil.example/", "https://example.org%5c@evil.example/", "https://①②⑦.0.0.1/",
        "https://127。0。0。1/", "https://ⅼocalhost/", "https://example.org\u{0}.evil.example/", "https://example.org/\u{85}",
        "https://example.org/\u{2028}", "https://example.org/%0", "https://example.org?%", "https://example.org?a=%g0",
        "https://example.org/\\", "https://example.org?a\\b", "https://example.org/a#", "https://#/", "https://?/",
    ]

    /// Pieces of URLs of which random ones are made.
    public static let pieces: [String] = [
        "https://", "http://", "HTTP://", "https:", "//", "/", "\\", "?", "#", "@", ":", "::", "[", "]", ".", "..", "%",
        "%2e", "%zz", "%4", "example", "org", "localhost", "a", "b-c", "-", "_", "0", "1", "127", "255", "256", "0177",
        "0x7f", "0x", "2130706433", "127.0.0.1", "1.2.3.4", "ffff", "::1", "::ffff:1.2.3.4", "fe80", "80", "443", "65535",
        "65536", "080", " ", "\t", "\n", "\r", "\u{7F}", "\u{1}", "é", "。", "\u{200B}", "\"", "<", ">", "^", "`", "{", "|",
        "}", "a=b", "&", ";", "~", "!", "$", "'", "(", ")", "*", "+", ",",
    ]
}

/// Extra request headers that are refused, and why, in a word.
public enum HeaderCases {
    /// Names and values. Names that only a profile refuses are not among them.
    public static let hostile: [(name: String, value: String)] = [
        ("", "v"), ("A B", "v"), ("A:", "v"), ("A\r\nX-Evil", "v"), ("A\n", "v"), ("\tA", "v"), ("Ä", "v"), ("A\u{7F}", "v"),
        ("A/B", "v"), ("A\"", "v"), ("A", "v\r\nX-Evil: 1"), ("A", "v\n"), ("A", "v\r"), ("A", "\u{1}"), ("A", "a\u{7F}b"),
        ("A", "a\u{B}b"), ("A", " v"), ("A", "v "), ("A", "\tv"), ("A", "v\t"), ("Host", "v"), ("hOST", "v"),
        ("Content-Length", "1"), ("Transfer-Encoding", "chunked"), ("Connection", "close"), ("Keep-Alive", "v"),
        ("Proxy-Authorization", "v"), ("proxy-x", "v"), ("Expect", "100-continue"), ("TE", "trailers"), ("Trailer", "v"),
        ("Upgrade", "h2c"), ("HTTP2-Settings", "v"), ("Content-Encoding", "gzip"),
        (String(repeating: "a", count: 129), "v"), ("A", String(repeating: "a", count: 8193)),
    ]

    /// Names and values that pass.
    public static let sound: [(name: String, value: String)] = [
        ("X-A", "b c\td"), ("Authorization", "Basic YTpi"), ("x!#$%&'*+-.^_`|~", "ü"), ("E", ""), ("Accept", "a;q=1"),
        (String(repeating: "a", count: 128), String(repeating: "é", count: 4096)), ("X", "\u{10FFFF}"),
    ]
}
