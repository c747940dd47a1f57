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
    uint32_t watched;    // what epoll watches for
    int64_t requests;    // taken
    int64_t answered;    // of them, completely
    struct ssl_st *tls;  // NULL for plain http
    bool is_shaking;     // before the end of the TLS handshake
    bool has_ended;      // we said that nothing more will be sent, and wait for the other side to say so
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
static char *last_answer; // of a connection that is closed then
static size_t answer_length, last_length;
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

static void watch_for(struct connection *connection, uint32_t events) {
    if (connection->watched == events) return;
    connection->watched = events;
    watch(EPOLL_CTL_MOD, connection->fd, events);
}

static void drop(struct connection *connection) {
    connections[connection->fd] = NULL;
    if (connection->tls != NULL) tls_free(connection->tls);
    close(connection->fd);
    free(connection);
    figures.open_connections--;
}

// What is sent next: as many answers as are owed, but the last one of a connection, which says so, alone.
static const char *next_answers(const struct connection *connection, size_t *length, size_t *one) {
    int64_t before_last = options->close_after - 1 - connection->answered;
    *one = answer_length;
    if (options->close_after > 0 && before_last == 0) {
        *length = *one = last_length;
        return last_answer;
    }
    size_t batch = connection->owed < answers_at_once ? connection->owed : answers_at_once;
    if (options->close_after > 0 && (int64_t)batch > before_last) batch = (size_t)before_last;
    *length = batch * answer_length;
    return answers;
}

static ssize_t send_some(struct connection *connection, const char *bytes, size_t length) {
    if (connection->tls != NULL) return tls_send(connection->tls, bytes, length);
    return send(connection->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
}

// Closes our side only: a close with bytes unread would take the last answer away from the one who reads it.
static void say_end(struct connection *connection) {
    if (connection->tls != NULL) tls_end(connection->tls);
    shutdown(connection->fd, SHUT_WR);
    connection->has_ended = true;
}

// False when the connection is gone.
static bool answer(struct connection *connection) {
    while (connection->owed > 0) {
        size_t length, one;
        const char *bytes = next_answers(connection, &length, &one);
        ssize_t wrote = send_some(connection, bytes + connection->sent, length - connection->sent);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0 && errno == EAGAIN) {
            watch_for(connection, EPOLLIN | EPOLLOUT);
            return true;
        }
        if (wrote <= 0) {
            drop(connection);
            return false;
        }
        size_t done = connection->sent + (size_t)wrote;
        connection->owed -= (uint32_t)(done / one);
        connection->answered += (int64_t)(done / one);
        connection->sent = (uint32_t)(done % one);
        if (options->close_after > 0 && connection->answered == options->close_after) {
            say_end(connection);
            break;
        }
    }
    watch_for(connection, EPOLLIN);
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

// Whether no further request is taken: the one before said that it is the last.
static bool is_over(const struct connection *connection) {
    return options->close_after > 0 && connection->requests == options->close_after;
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
            if (is_over(connection)) {
                at = connection->have;
                break;
            }
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
            connection->requests++;
            if (connection->requests > figures.most_requests) figures.most_requests = connection->requests;
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

static void refuse(struct connection *connection) {
    figures.bad++;
    static const char refusal[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    send_some(connection, refusal, sizeof refusal - 1);
    drop(connection);
}

// False when the connection is gone or has nothing more to read now.
static bool receive_some(struct connection *connection) {
    char *to = connection->buffer + connection->have;
    size_t room = buffer_size - connection->have;
    ssize_t got = connection->tls != NULL ? tls_receive(connection->tls, to, room)
                                          : recv(connection->fd, to, room, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (got <= 0) {
        drop(connection);
        return false;
    }
    if (connection->has_ended) return connection->tls != NULL && tls_has_more(connection->tls);
    figures.bytes += got;
    connection->have += (size_t)got;
    if (!take_requests(connection, bench_realtime_us())) {
        refuse(connection);
        return false;
    }
    return answer(connection) && connection->tls != NULL && tls_has_more(connection->tls);
}

// False while the handshake goes on, and when the connection is gone.
static bool shake(struct connection *connection) {
    int done = tls_shake(connection->tls);
    if (done < 0) {
        drop(connection);
        return false;
    }
    connection->is_shaking = done == 0;
    watch_for(connection, done == 0 && tls_wants_room(connection->tls) ? EPOLLOUT : EPOLLIN);
    // With the end of the handshake the first request may have come and been read ahead.
    return done > 0 && tls_has_more(connection->tls);
}

static void receive(struct connection *connection) {
    if (connection->is_shaking && !shake(connection)) return;
    while (receive_some(connection)) continue;
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
        connection->tls = tls_open(fd);
        connection->is_shaking = connection->tls != NULL;
        if (tls_is_wanted() && connection->tls == NULL) fail("SSL_new");
        connection->watched = EPOLLIN;
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

static char *make_answer(const char *further_header, size_t *length) {
    char *text;
    int made = asprintf(&text, "HTTP/1.1 %d %s\r\nContent-Length: %zu\r\n%s\r\n%s", options->status,
                        options->status < 300 ? "OK" : "Refused", strlen(options->body), further_header, options->body);
    if (made < 0) fail("asprintf");
    *length = (size_t)made;
    return text;
}

static void make_answers(void) {
    char *one = make_answer("", &answer_length);
    answers = malloc(answer_length * answers_at_once);
    if (answers == NULL) fail("malloc");
    for (int i = 0; i < answers_at_once; i++) memcpy(answers + (size_t)i * answer_length, one, answer_length);
    free(one);
    last_answer = make_answer("Connection: close\r\n", &last_length);
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
        struct connection *connection = connections[fd];
        // What a handshake has to write goes out by its next step.
        bool may_read = connection->is_shaking || (event.events & ~(uint32_t)EPOLLOUT) != 0;
        if (!connection->is_shaking && (event.events & EPOLLOUT) != 0 && !answer(connection)) return;
        if (may_read) receive(connection);
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
