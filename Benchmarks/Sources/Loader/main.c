// bench-loader: POSTs to the receiver as fast as it answers, over kept connections with one request in flight each.
// The driver runs it to show what the receiver costs; it knows nothing of webhooks beyond their headers.

#include "support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static const char usage[] =
    "bench-loader: POSTs webhooks of 300 bytes to 127.0.0.1 and counts the answers.\n"
    "\n"
    "  --port N         port of the receiver\n"
    "  --connections N  kept connections, one request in flight on each; default 64\n"
    "  --seconds N      for how long; default 3\n"
    "\n"
    "The figures are one JSON line. Answers must have no body.\n";

enum { body_length = 300, most_connections = 1024 };

static int64_t requests_sent, answers;

static void fail(const char *what) {
    perror(what);
    exit(71);
}

static int connect_to(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return fd;
}

static void post(int fd) {
    static char request[1024];
    static int id_at, length;
    if (length == 0) {
        static const char head[] = "POST /webhooks HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench-loader\r\n"
                                   "Content-Type: application/json\r\nwebhook-timestamp: 1700000000\r\n"
                                   "webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=\r\nwebhook-id: ";
        id_at = (int)sizeof head - 1;
        length = sprintf(request, "%s%036d\r\nContent-Length: %d\r\n\r\n", head, 0, body_length);
        memset(request + length, 'x', body_length);
        length += body_length;
    }
    char id[37];
    snprintf(id, sizeof id, "%036" PRId64, requests_sent++);
    memcpy(request + id_at, id, 36);
    // A blocking socket with one small request in flight always has room.
    if (send(fd, request, (size_t)length, MSG_NOSIGNAL) != length) fail("send");
}

static void take_answer(int fd) {
    char answer[2048];
    ssize_t got = recv(fd, answer, sizeof answer, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got < 12 || memcmp(answer + 9, "200", 3) != 0 || memcmp(answer + got - 4, "\r\n\r\n", 4) != 0) {
        fprintf(stderr, "The receiver did not answer with 200 and an empty body.\n");
        exit(76);
    }
    answers++;
}

int main(int argc, char **argv) {
    int port = 0, connections = 64, seconds = 3, option;
    static const struct option options[] = {{"port", required_argument, NULL, 'p'},
                                            {"connections", required_argument, NULL, 'c'},
                                            {"seconds", required_argument, NULL, 's'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'p': port = (int)bench_number("--port", optarg, 1, 65535); break;
        case 'c': connections = (int)bench_number("--connections", optarg, 1, most_connections); break;
        case 's': seconds = (int)bench_number("--seconds", optarg, 1, 60); break;
        case 'h': fputs(usage, stdout); return 0;
        default: fputs(usage, stderr); return 64;
        }
    }
    if (port == 0 || optind < argc) {
        fputs(usage, stderr);
        return 64;
    }
    int poller = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < connections; i++) {
        int fd = connect_to(port);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
        post(fd);
    }
    int64_t start = bench_monotonic_us(), now = start;
    while (now - start < seconds * INT64_C(1000000)) {
        struct epoll_event events[256];
        int count = epoll_wait(poller, events, 256, 1000);
        for (int i = 0; i < count; i++) {
            take_answer(events[i].data.fd);
            post(events[i].data.fd);
        }
        now = bench_monotonic_us();
    }
    printf("{\"requests\":%" PRId64 ",\"elapsed_us\":%" PRId64 ",\"cpu_us\":%" PRId64 "}\n", answers, now - start,
           bench_cpu_us());
    return 0;
}
