// What is here: the thread's loop around one libcurl multi handle: wait, let libcurl work, take mail, hand results back.
// Called by: Exchanger, which starts it on a thread of its own. Starting and ending of requests: Loop+Requests.swift.

import CLibCurl
import Glibc

/// The event loop of one exchanger. Made on the thread of the caller, used on its own thread only.
final class Loop {
    let configuration: Transfer.Configuration
    let counters: RunningCounters
    let sockets: SocketTable
    let multi: UnsafeMutableRawPointer
    private let mailbox: Mailbox
    private let completed: @Sendable ([Exchange]) -> Void

    var hosts: HostTable
    /// Transfers that libcurl has.
    var active: [Transfer] = []
    /// Transfers for the next requests.
    var free: [Transfer] = []
    /// Hosts with requests that wait.
    var crowded: [Host] = []
    /// Hosts where some of them may start now.
    let settled = SettledHosts()
    /// Requests that wait because as many as may are under way.
    var line = WaitingLine()
    /// When the first of those requests runs out of time, in `Ticks`.
    var nextWaitingDeadline = Int64.max
    /// The submitted exchanges that finished in this turn.
    var finished: [Exchange] = []
    /// When libcurl wants to be called although no socket is ready, in `Ticks`.
    private var timer = Int64.max
    private var running: Int32 = 0

    private static let isCurlReady = curl_global_init(3) == CURLE_OK

    /// - Throws: `ExchangerError` when the kernel or libcurl refuses a resource.
    init(
        settings: ExchangerSettings, mailbox: Mailbox, counters: RunningCounters,
        completed: @escaping @Sendable ([Exchange]) -> Void
    ) throws(ExchangerError) {
        guard Self.isCurlReady else { throw ExchangerError(operation: "curl_global_init", code: 0) }
        if settings.userAgent?.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) == true {
            throw ExchangerError(operation: "reading the user agent, which holds a control character", code: EINVAL)
        }
        sockets = try SocketTable(
            addressGuard: settings.addressGuard, counters: counters, waking: mailbox.wakeDescriptor)
        guard let multi = curl_multi_init() else { throw ExchangerError(operation: "curl_multi_init", code: 0) }
        self.multi = multi
        self.mailbox = mailbox
        self.counters = counters
        self.completed = completed
        configuration = Transfer.Configuration(settings)
        hosts = HostTable(settings: settings, counters: counters, mailbox: mailbox)
        setOptions(settings)
    }

    deinit {
        // The handles first, then the connections, whose closing still needs the socket table.
        free = []
        curl_multi_cleanup(multi)
    }

    /// Runs until the mailbox says stop, then cancels what is left and closes the mailbox.
    func run() {
        var stops = false
        while !stops {
            let sleep = mailbox.fallAsleep() ? millisecondsToSleep() : 0
            sockets.wait(sleep) { socket, mask in
                curl_multi_socket_action(multi, socket, mask, &running)
            }
            let mail = mailbox.take()
            let now = Ticks.now
            if mail.cancelsAll {
                // What has ended already has its outcome.
                collect()
                cancelEverything()
            }
            begin(mail, now: now)
            if timer <= now {
                timer = .max
                curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running)
            }
            collect()
            // After libcurl has seen what began above, and before it gets more, which it sees in the next turn: a pinned address
            // travels with the first transfer to its host.
            if mail.cancels { cancel(mail) }
            if !settled.hosts.isEmpty || !line.isEmpty { admitWaiting(now: now) }
            if nextWaitingDeadline <= now { expireWaiting(now: now) }
            if hosts.nextLookup <= now { hosts.beginLookups(now: now) }
            stops = mail.stops
            deliver()
        }
        end()
    }

    private func setOptions(_ settings: ExchangerSettings) {
        let this = Unmanaged.passUnretained(self).toOpaque()
        clibcurl_multi_set_socket_function(multi, SocketCallbacks.interest)
        clibcurl_multi_set_pointer(multi, CURLMOPT_SOCKETDATA, Unmanaged.passUnretained(sockets).toOpaque())
        clibcurl_multi_set_timer_function(multi) { _, milliseconds, context in
            guard let context else { return 0 }
            Unmanaged<Loop>.fromOpaque(context).takeUnretainedValue().setTimer(milliseconds)
            return 0
        }
        clibcurl_multi_set_pointer(multi, CURLMOPT_TIMERDATA, this)
        clibcurl_multi_set_long(multi, CURLMOPT_PIPELINING, Int(CURLPIPE_MULTIPLEX))
        // The limits on connections are kept by the loop. libcurl has some, too, but wakes one waiting transfer at a
        // time, and when that one is to a host that hangs, all others go on waiting.
        clibcurl_multi_set_long(multi, CURLMOPT_MAXCONNECTS, max(1, settings.maxConnections))
    }

    private func setTimer(_ milliseconds: Int) {
        timer = milliseconds < 0 ? .max : milliseconds == 0 ? 0 : Ticks.now + Int64(milliseconds) * 1_000_000
    }

    /// -1 without anything to wait for; otherwise rounded up, so that the deadline has passed on waking.
    private func millisecondsToSleep() -> Int32 {
        let next = min(timer, nextWaitingDeadline, hosts.nextLookup)
        guard next < .max else { return -1 }
        let left = next - Ticks.now
        return left <= 0 ? 0 : Int32(min((left + 999_999) / 1_000_000, 60_000))
    }

    /// Takes the transfers that libcurl is done with.
    private func collect() {
        var left: Int32 = 0
        while let message = curl_multi_info_read(multi, &left)?.pointee {
            guard message.msg == CURLMSG_DONE, let easy = message.easy_handle else { continue }
            var context: UnsafeMutableRawPointer?
            clibcurl_easy_get_pointer(easy, CURLINFO_PRIVATE, &context)
            guard let context else { continue }
            finish(Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue(), message.data.result)
        }
    }

    private func deliver() {
        guard !finished.isEmpty else { return }
        let batch = finished
        finished = []
        finished.reserveCapacity(batch.count)
        completed(batch)
    }

    private func end() {
        cancelEverything()
        deliver()
        active = []
        free = []
        // Whatever was posted between the last turn and this moment.
        let late = mailbox.close()
        refuse(late.batches[...], late.performed[...])
        deliver()
    }
}
