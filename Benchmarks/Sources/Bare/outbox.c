// The least that Postgres must do: one statement takes a batch, one statement writes that it is delivered.

#include "bare.h"

#include "libpq.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The plan must walk the index, whatever the statistics of a queue that was just filled say. A crash of Postgres may
// then repeat deliveries, never lose an event that is still in the queue.
static const char settings[] =
    "SET synchronous_commit = off; SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off; "
    "SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off";

static const char claim[] =
    "WITH taken AS (DELETE FROM bare.queue WHERE id = ANY (ARRAY("
    "SELECT id FROM bare.queue ORDER BY id LIMIT $1::bigint FOR UPDATE SKIP LOCKED)) RETURNING id) "
    "SELECT e.id, e.public_id, e.event_type, e.data FROM taken JOIN bare.events AS e USING (id)";

static const char record[] = "INSERT INTO bare.deliveries (event_ids) VALUES ($1::bigint[])";

static PGconn *connection;
static PGresult *claimed;

static PGresult *expect(PGresult *result, ExecStatusType status) {
    if (PQresultStatus(result) != status) {
        fprintf(stderr, "Postgres: %s", PQerrorMessage(connection));
        exit(69);
    }
    return result;
}

void outbox_open(const struct options *options) {
    connection = PQconnectdb(options->database);
    if (PQstatus(connection) != CONNECTION_OK) {
        fprintf(stderr, "No connection: %s", PQerrorMessage(connection));
        exit(69);
    }
    PQclear(expect(PQexec(connection, settings), PGRES_COMMAND_OK));
    PQclear(expect(PQprepare(connection, "claim", claim, 0, NULL), PGRES_COMMAND_OK));
    PQclear(expect(PQprepare(connection, "record", record, 0, NULL), PGRES_COMMAND_OK));
}

int outbox_claim(const struct options *options, struct event *events) {
    char limit[16];
    snprintf(limit, sizeof limit, "%d", options->batch);
    const char *values[] = {limit};
    PQclear(claimed);
    claimed = expect(PQexecPrepared(connection, "claim", 1, values, NULL, NULL, 0), PGRES_TUPLES_OK);
    int count = PQntuples(claimed);
    for (int row = 0; row < count; row++) {
        events[row] = (struct event){PQgetvalue(claimed, row, 1), PQgetvalue(claimed, row, 2),
                                     PQgetvalue(claimed, row, 3), PQgetlength(claimed, row, 3)};
    }
    return count;
}

void outbox_record(void) {
    int count = PQntuples(claimed);
    char *ids = malloc((size_t)count * 21 + 3), *end = ids;
    if (ids == NULL) exit(71);
    for (int row = 0; row < count; row++) {
        *end++ = row == 0 ? '{' : ',';
        end = stpcpy(end, PQgetvalue(claimed, row, 0));
    }
    memcpy(end, "}", 2);
    const char *values[] = {ids};
    PQclear(expect(PQexecPrepared(connection, "record", 1, values, NULL, NULL, 0), PGRES_COMMAND_OK));
    free(ids);
}
