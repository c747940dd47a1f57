// Sockets of the receiver: one thread, one epoll, level-triggered. Answers are canned, so an answer that waits for its
// delay or for room in the socket is a number, not a buffer.

#include "receiver.h"

#include "support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { buffer_size = 16384, answers_at_once = 64, most_connections = 65536 };

struct connection {
    int fd;
    uint16_t destination;
    uint32_t generation; // tells this connection from an earlier one with the same descriptor
    uint32_t owed;       // answers that may be sent now
    uint32_t sent;       // bytes of the first of them that are sent already
    bool wants_room;     // epoll watches for room to write
    size_t have, scanned;
    uint64_t body_left;
    char buffer[buffer_size];
};

struct late_answer {
    int64_t due_us;
    int fd;
    uint32_t generation;
};

static const struct options *options;
static struct connection *connections[most_connections]; // by descriptor
static uint32_t generations;
static int poller, signals;
static uint8_t listener_number[most_connections]; // by descriptor: 1 for the first port, 0 for what is no listener
static char *answers; // the canned answer, answers_at_once times
static size_t answer_length;
static bool counted, ending;

// The delay is the same for all, so answers fall due in the order of their requests: a ring suffices.
static struct late_answer *late;
static size_t late_first, late_count, late_capacity;

static void fail(const char *what) {
    perror(what);
    exit(71);
}

static void watch(int operation, int fd, uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(poller, operation, fd, &event) != 0) fail("epoll_ctl");
}

static void drop(struct connection *connection) {
    connections[connection->fd] = NULL;
    close(connection->fd);
    free(connection);
    figures.open_connections--;
}

// False when the connection is gone.
static bool answer(struct connection *connection) {
    while (connection->owed > 0) {
        size_t batch = connection->owed < answers_at_once ? connection->owed : answers_at_once;
        ssize_t wrote = send(connection->fd, answers + connection->sent, batch * answer_length - connection->sent,
                             MSG_NOSIGNAL | MSG_DONTWAIT);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0 && errno == EAGAIN) {
            if (!connection->wants_room) watch(EPOLL_CTL_MOD, connection->fd, EPOLLIN | EPOLLOUT);
            connection->wants_room = true;
            return true;
        }
        if (wrote < 0) {
            drop(connection);
            return false;
        }
        size_t done = connection->sent + (size_t)wrote;
        connection->owed -= (uint32_t)(done / answer_length);
        connection->sent = (uint32_t)(done % answer_length);
    }
    if (connection->wants_room) watch(EPOLL_CTL_MOD, connection->fd, EPOLLIN);
    connection->wants_room = false;
    return true;
}

static void answer_later(struct connection *connection, int64_t now_us) {
    if (late_count == late_capacity) {
        size_t capacity = late_capacity == 0 ? 1024 : late_capacity * 2;
        struct late_answer *ring = malloc(capacity * sizeof *ring);
        if (ring == NULL) fail("malloc");
        for (size_t i = 0; i < late_count; i++) ring[i] = late[(late_first + i) % late_capacity];
        free(late);
        late = ring;
        late_first = 0;
        late_capacity = capacity;
    }
    late[(late_first + late_count++) % late_capacity] =
        (struct late_answer){now_us + options->delay_us, connection->fd, connection->generation};
}

static void answer_due(int64_t now_us) {
    while (late_count > 0 && late[late_first].due_us <= now_us) {
        struct late_answer item = late[late_first];
        late_first = (late_first + 1) % late_capacity;
        late_count--;
        struct connection *connection = connections[item.fd];
        if (connection == NULL || connection->generation != item.generation) continue;
        connection->owed++;
        answer(connection);
    }
}

// Takes the body that is there already; true when the whole of it is.
static bool skip_body(struct connection *connection, size_t *at) {
    size_t there = connection->have - *at;
    size_t taken = connection->body_left < there ? (size_t)connection->body_left : there;
    *at += taken;
    connection->body_left -= taken;
    return connection->body_left == 0;
}

// Counts the requests whose end is in the buffer. False when the bytes are no HTTP that can be framed.
static bool take_requests(struct connection *connection, int64_t now_us) {
    size_t at = 0;
    bool in_body = connection->body_left > 0, good = true;
    while (at < connection->have) {
        if (!in_body) {
            struct head head = parse_head(connection->buffer + at, connection->have - at, connection->scanned);
            connection->scanned = 0;
            if (head.length == 0) {
                connection->scanned = connection->have - at;
                break;
            }
            if (head.bad) {
                good = false;
                break;
            }
            // Counted at its head: the time of arrival is the time of the first bytes, whatever the body's length.
            figures_count(connection->destination, head.id, head.id_length, now_us);
            connection->body_left = head.body_length;
            at += head.length;
        }
        in_body = !skip_body(connection, &at);
        if (in_body) break;
        if (options->delay_us > 0) {
            answer_later(connection, now_us);
        } else {
            connection->owed++;
        }
    }
    connection->have -= at;
    memmove(connection->buffer, connection->buffer + at, connection->have);
    return good && connection->have < buffer_size;
}

static void receive(struct connection *connection) {
    ssize_t got = recv(connection->fd, connection->buffer + connection->have, buffer_size - connection->have,
                       MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) {
        drop(connection);
        return;
    }
    figures.bytes += got;
    connection->have += (size_t)got;
    if (!take_requests(connection, bench_realtime_us())) {
        figures.bad++;
        static const char refusal[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        send(connection->fd, refusal, sizeof refusal - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        drop(connection);
        return;
    }
    answer(connection);
}

static void accept_all(int listener) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        struct connection *connection = fd < most_connections ? malloc(sizeof *connection) : NULL;
        if (connection == NULL) {
            close(fd);
            return;
        }
        memset(connection, 0, offsetof(struct connection, buffer));
        connection->fd = fd;
        connection->destination = (uint16_t)(listener_number[listener] - 1);
        connection->generation = ++generations;
        connections[fd] = connection;
        figures.connections++;
        figures.open_connections++;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        watch(EPOLL_CTL_ADD, fd, EPOLLIN);
    }
}

static void listen_at(int index) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) fail("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    int port = options->first_port == 0 ? 0 : options->first_port + index;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0) fail("bind");
    if (listen(fd, 4096) != 0) fail("listen");
    socklen_t length = sizeof address;
    getsockname(fd, (struct sockaddr *)&address, &length);
    printf("%s%d", index == 0 ? "{\"ports\":[" : ",", ntohs(address.sin_port));
    listener_number[fd] = (uint8_t)(index + 1);
    watch(EPOLL_CTL_ADD, fd, EPOLLIN);
}

static void make_answers(void) {
    char *one;
    int length = asprintf(&one, "HTTP/1.1 %d %s\r\nContent-Length: %zu\r\n\r\n%s", options->status,
                          options->status < 300 ? "OK" : "Refused", strlen(options->body), options->body);
    if (length < 0) fail("asprintf");
    answer_length = (size_t)length;
    answers = malloc(answer_length * answers_at_once);
    if (answers == NULL) fail("malloc");
    for (int i = 0; i < answers_at_once; i++) memcpy(answers + (size_t)i * answer_length, one, answer_length);
    free(one);
}

static void watch_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (signals < 0) fail("signalfd");
    watch(EPOLL_CTL_ADD, signals, EPOLLIN);
}

static void take_signal(void) {
    struct signalfd_siginfo info;
    while (read(signals, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGUSR1) {
            figures_print(options);
        } else {
            ending = true;
        }
    }
}

static void dispatch(struct epoll_event event) {
    int fd = event.data.fd;
    if (fd == signals) {
        take_signal();
    } else if (listener_number[fd] != 0) {
        accept_all(fd);
    } else if (connections[fd] != NULL) {
        if ((event.events & EPOLLOUT) != 0 && !answer(connections[fd])) return;
        if ((event.events & ~(uint32_t)EPOLLOUT) != 0) receive(connections[fd]);
    }
}

static int wait_ms(void) {
    if (late_count == 0) return -1;
    int64_t left = late[late_first].due_us - bench_realtime_us();
    return left <= 0 ? 0 : (int)((left + 999) / 1000);
}

static void check_count(void) {
    if (counted || options->count == 0 || figures.distinct < options->count) return;
    counted = true;
    if (options->exit_at_count) {
        ending = true;
    } else {
        figures_print(options);
    }
}

void serve(const struct options *given) {
    options = given;
    struct rlimit files = {most_connections, most_connections};
    setrlimit(RLIMIT_NOFILE, &files);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0) fail("epoll_create1");
    make_answers();
    for (int index = 0; index < options->ports; index++) listen_at(index);
    watch_signals();
    printf("]}\n");
    fflush(stdout);
    while (!ending) {
        struct epoll_event events[256];
        int count = epoll_wait(poller, events, 256, wait_ms());
        for (int i = 0; i < count; i++) dispatch(events[i]);
        if (late_count > 0) answer_due(bench_realtime_us());
        check_count();
    }
    figures_print(options);
}
