// What the kernel says when this process lacks something. Used where sockets are opened and names looked up.

import Glibc

/// Errors that tell of this process or its machine, and of nobody who was to be reached.
enum Shortage {
    /// Whether an `errno` means that descriptors or memory are missing. Source: `socket(2)`, "ERRORS".
    static func isMeant(by code: Int32) -> Bool {
        switch code {
        case EMFILE, ENFILE, ENOBUFS, ENOMEM: true
        default: false
        }
    }
}
