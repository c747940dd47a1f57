// The loop of the producer: one thread, non-blocking libpq, one statement in flight on each connection.

#include "producer.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include "libpq.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

struct client {
    PGconn *connection;
    bool busy;
    int64_t sequence, due_us, sent_us;
};

static const struct options *options;
static struct client clients[most_connections];
static struct pollfd sockets[most_connections];
static int64_t next_sequence, start_us, end_us, scheduled;
static int busy;
static volatile sig_atomic_t stopped;

static void stop(int signal) {
    (void)signal;
    stopped = 1;
}

static void fail(PGconn *connection, const char *what) {
    fprintf(stderr, "%s: %s", what, PQerrorMessage(connection));
    exit(69);
}

static void open_client(struct client *client) {
    client->connection = PQconnectdb(options->database);
    if (PQstatus(client->connection) != CONNECTION_OK) fail(client->connection, "No connection");
    PGresult *result = PQprepare(client->connection, "produce", options->statement, 0, NULL);
    if (PQresultStatus(result) != PGRES_COMMAND_OK) fail(client->connection, "The statement is refused");
    PQclear(result);
    if (PQsetnonblocking(client->connection, 1) != 0) fail(client->connection, "Non-blocking");
}

static void send_statement(struct client *client, int64_t due_us, int64_t now_us) {
    char sequence[24];
    snprintf(sequence, sizeof sequence, "%" PRId64, next_sequence);
    const char *values[] = {sequence};
    // A statement of some dozen bytes always fits into an idle socket, so there is no rest to flush later.
    if (PQsendQueryPrepared(client->connection, "produce", 1, values, NULL, NULL, 0) != 1 ||
        PQflush(client->connection) != 0) {
        fail(client->connection, "A statement cannot be sent");
    }
    client->busy = true;
    client->sequence = next_sequence++;
    client->due_us = due_us;
    client->sent_us = now_us;
    busy++;
}

static void take_result(struct client *client) {
    if (PQconsumeInput(client->connection) != 1) fail(client->connection, "The connection is lost");
    while (client->busy && !PQisBusy(client->connection)) {
        PGresult *result = PQgetResult(client->connection);
        if (result == NULL) {
            client->busy = false;
            busy--;
            return;
        }
        ExecStatusType status = PQresultStatus(result);
        if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) fail(client->connection, "A statement failed");
        bool has_id = PQntuples(result) > 0 && PQnfields(result) > 0;
        const char *id = has_id ? PQgetvalue(result, 0, 0) : NULL;
        samples_add(client->sequence, client->due_us, client->sent_us, id, id == NULL ? 0 : strlen(id));
        PQclear(result);
    }
}

// When the n-th statement of the open loop is due. It depends on nothing that was answered, so that a stall delays
// many statements and is seen in all of them, not in one.
static int64_t due_us(int64_t n) { return start_us + n * 1000000 / options->rate; }

// Sends what is due and can be sent; gives how long to wait for more, in microseconds, or -1 for until an answer.
static int64_t send_due(void) {
    int64_t now = bench_realtime_us();
    for (int i = 0; i < options->connections; i++) {
        if (clients[i].busy) continue;
        if (stopped || now >= end_us) return -1;
        int64_t due = options->rate == 0 ? now : due_us(scheduled);
        if (due > now) return due - now;
        scheduled++;
        send_statement(&clients[i], due, now);
    }
    return -1;
}

static void wait_for_answers(int64_t wait_us) {
    // At most a tenth of a second, for the end of the run and for signals.
    if (wait_us < 0 || wait_us > 100000) wait_us = 100000;
    struct timespec timeout = {wait_us / 1000000, wait_us % 1000000 * 1000};
    int ready = ppoll(sockets, (nfds_t)options->connections, &timeout, NULL);
    if (ready < 0 && errno != EINTR) {
        perror("ppoll");
        exit(71);
    }
    for (int i = 0; ready > 0 && i < options->connections; i++) {
        if (sockets[i].revents == 0) continue;
        ready--;
        take_result(&clients[i]);
    }
}

int64_t produce(const struct options *given) {
    options = given;
    next_sequence = options->first;
    // The default slack of 50 microseconds would be a third of the interval at 5,000/s.
    prctl(PR_SET_TIMERSLACK, 1000);
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    for (int i = 0; i < options->connections; i++) {
        open_client(&clients[i]);
        sockets[i] = (struct pollfd){.fd = PQsocket(clients[i].connection), .events = POLLIN};
    }
    printf("{\"ready\":true}\n");
    fflush(stdout);
    start_us = bench_realtime_us();
    end_us = start_us + options->seconds * 1000000;
    while (busy > 0 || (!stopped && bench_realtime_us() < end_us)) wait_for_answers(send_due());
    int64_t elapsed_us = bench_realtime_us() - start_us;
    for (int i = 0; i < options->connections; i++) PQfinish(clients[i].connection);
    return elapsed_us;
}
