// Every SQL statement of the benchmark. Payloads have about 300 bytes as JSON text.

/// SQL by purpose.
enum Statements {
    /// End of the write-ahead log in bytes.
    static let walPosition = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')"

    /// The payload of event `n`.
    private static let payload = """
        jsonb_build_object('id', n, 'name', 'Lead ' || n, 'email', 'lead' || n || '@example.com', 'status', 'new',
            'note', repeat('All work and no play. ', 9))
        """

    /// Inserts events of the types `bench.t0` … set-based: numbers `$1` to `$2`, `$3` types.
    static let fill = """
        INSERT INTO postrider.webhook_events (event_type, data)
        SELECT 'bench.t' || n % $3::bigint, \(payload)
        FROM generate_series($1::bigint, $2::bigint) AS n
        """

    /// Inserts `$1` events whose payloads have `$2` bytes and do not compress well.
    static let fillLarge = """
        INSERT INTO postrider.webhook_events (event_type, data)
        SELECT 'bench.t0', jsonb_build_object('text', left(text, greatest(0, $2::integer - 12)))
        FROM generate_series(1, $1::bigint) AS n,
            LATERAL (
                SELECT string_agg(md5(n::text || '/' || part::text), '') AS text
                FROM generate_series(0, $2::integer / 32) AS part
            ) AS texts
        """

    /// The same with `$3` ordering keys.
    static let fillKeys = """
        INSERT INTO postrider.webhook_events (event_type, ordering_key, data)
        SELECT 'bench.t0', 'key-' || n % $3::bigint, \(payload)
        FROM generate_series($1::bigint, $2::bigint) AS n
        """

    /// So many endpoints that get none of these events.
    static func crowd(of count: Int) -> String {
        """
        INSERT INTO postrider.webhook_destinations (kind, name, url, event_types, organization_id)
        SELECT 'endpoint', 'crowd ' || n, 'https://example.com/' || n, '{*}', 'organization-' || n
        FROM generate_series(1, \(count)) AS n
        """
    }

    /// A change of which nobody knows whom it concerns, and an event after it.
    static let changeSetting = """
        WITH changed AS (INSERT INTO postrider.webhook_settings (name, value) VALUES ($1, 'x'))
        SELECT postrider.emit('bench.changed', '{}')
        """

    /// The same without triggers, with a queue row for each event, as transactions of one event leave them.
    static let fillRowForEach = """
        WITH added AS (
            INSERT INTO postrider.webhook_event_log (event_type, data)
            SELECT 'bench.t0', \(payload)
            FROM generate_series($1::bigint, $2::bigint) AS n
            RETURNING id, priority
        )
        INSERT INTO postrider.webhook_queue (id, priority) SELECT id, priority FROM added
        """

    /// Events that were delivered before, each with its attempt.
    static let fillHistory = """
        WITH added AS (
            INSERT INTO postrider.webhook_event_log (event_type, data)
            SELECT 'bench.t0', \(payload)
            FROM generate_series($1::bigint, $2::bigint) AS n
            RETURNING id, created_at
        )
        INSERT INTO postrider.webhook_attempts (event_id, attempted_at, worker_id, destination_id, duration_us,
            attempt_number, outcome, status_code)
        SELECT id, created_at, 0, 1, 1000, 1, 0, 200 FROM added
        """

    /// Events that nobody got, for a replay: numbers `$1` to `$2`. The queue must be emptied afterwards.
    static let fillUnsent = """
        INSERT INTO postrider.webhook_event_log (event_type, data)
        SELECT 'bench.t0', \(payload)
        FROM generate_series($1::bigint, $2::bigint) AS n
        """

    /// Takes away what waits.
    static let emptyQueue = "TRUNCATE postrider.webhook_queue"

    /// What replays have scheduled so far.
    static let replayed = "SELECT coalesce(sum(scheduled), 0) FROM postrider.webhook_replays"

    /// Begins a transaction that writes and does not end: no row that dies from now on is cleaned up.
    static let holdTransaction = "BEGIN; SELECT pg_current_xact_id()"

    /// Begins a transaction that keeps a snapshot and has written: an id and a horizon, both as old as it is.
    static let heldTable = "CREATE TABLE bench.held (id bigint)"
    static let holdSnapshot = """
        BEGIN ISOLATION LEVEL REPEATABLE READ;
        INSERT INTO bench.held VALUES (1)
        """

    /// Rings as the triggers do when no worker is awake.
    static let ring = "SELECT pg_notify('postrider_wake', '')"

    /// The session settings of a worker (WorkSettings of workers.sql).
    static let workSettings = """
        SET synchronous_commit = off; SET enable_seqscan = off; SET enable_bitmapscan = off; SET jit = off;
        SET plan_cache_mode = force_generic_plan
        """

    /// A worker that claims and does nothing else; it is alive for as long as the measurement.
    static let claimant = """
        INSERT INTO postrider.webhook_workers (host, process_id, version, lease_until)
        VALUES ('bench', 0, 'bench', clock_timestamp() + interval '1 hour') RETURNING id
        """

    /// Two values of a claim: every priority, from its first event on.
    static let fromTheFront = """
        array_fill('00000000-0000-0000-0000-000000000000'::uuid, '{3}'), '{0,1,2}'
        """

    /// Its last two values for a worker that has claimed events of today, which are read along.
    static let idsOfToday = """
        postrider.event_id_at(now() - interval '1 day'), postrider.event_id_at(now() + interval '1 day')
        """

    /// The same for a worker that has claimed nothing lately.
    static let everyID = """
        '00000000-0000-0000-0000-000000000000'::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid
        """

    /// Partitions of the event log.
    static let weeks = "SELECT count(*) FROM postrider.partitions('webhook_event_log')"

    /// Gives weeks before this one partitions of their own, in a database without events.
    static func pastWeeks(_ count: Int) -> String {
        """
        DO $$ DECLARE week date := date_trunc('week', now() AT TIME ZONE 'UTC')::date; BEGIN
            EXECUTE format('DROP TABLE postrider.%I', to_char(week, '"webhook_event_log_"IYYY_IW'));
            PERFORM postrider.add_partition('webhook_event_log', 'first', NULL, postrider.week_start(week - 7 * \(count)));
            FOR n IN 0..\(count) LOOP
                PERFORM postrider.add_partition('webhook_event_log', to_char(week - 7 * n, 'IYYY_IW'),
                    postrider.week_start(week - 7 * n), postrider.week_start(week - 7 * n + 7));
            END LOOP;
        END $$
        """
    }

    /// Claims that are not finished.
    static let openClaims = "SELECT count(*) FROM postrider.webhook_claims"

    /// The first event of normal priority, as a claim looks for it.
    static let look = "SELECT id FROM postrider.webhook_queue WHERE priority = 1 ORDER BY id LIMIT 1"

    /// Rows of the queue that are dead and not cleaned up, as the server counts them.
    static let deadQueueRows = """
        SELECT n_dead_tup FROM pg_stat_user_tables WHERE schemaname = 'postrider' AND relname = 'webhook_queue'
        """

    /// Attempts of each worker that made some, after the first `$1`.
    static let shares = """
        SELECT count(*) FROM (SELECT worker_id FROM postrider.webhook_attempts ORDER BY attempted_at OFFSET $1::bigint) AS a
        GROUP BY worker_id
        """

    /// Workers that live.
    static let workersAlive = "SELECT count(*) FROM postrider.webhook_workers WHERE alive"

    /// Whether nothing waits and nothing is in flight; the caller asks only once the receiver has everything, for the
    /// probe of a queue full of dead rows is not free.
    static let isDrained = """
        SELECT (NOT EXISTS (SELECT FROM postrider.webhook_queue)
            AND NOT EXISTS (SELECT FROM postrider.webhook_claims))::integer
        """

    /// Recorded attempts that delivered.
    static let delivered = "SELECT count(*) FROM postrider.webhook_attempts WHERE outcome = 0"

    /// Deliveries that wait for a retry or are dead.
    static let failed = """
        SELECT (SELECT count(*) FROM postrider.webhook_retries) + (SELECT count(*) FROM postrider.webhook_dead_letters)
        """

    /// Deliveries that were ever written to be made, or tried again, later.
    static let putBack = """
        SELECT n_tup_ins FROM pg_stat_user_tables WHERE schemaname = 'postrider' AND relname = 'webhook_retries'
        """

    /// Events that wait in the queue.
    static let backlog = "SELECT coalesce(sum(1 + coalesce(cardinality(more), 0)), 0) FROM postrider.webhook_queue"

    /// A domain table.
    static let domainTable = """
        CREATE SCHEMA bench;
        CREATE TABLE bench.leads (id bigint PRIMARY KEY, name text NOT NULL, email text NOT NULL, status text NOT NULL,
            note text NOT NULL)
        """

    /// The same table without an attachment, and numbers for both.
    static let plainTable =
        "CREATE TABLE bench.plain (LIKE bench.leads INCLUDING ALL); CREATE SEQUENCE bench.numbers CACHE 1000 START 1000000"

    /// A domain table as applications have them, with a foreign key and two more indexes; and the same attached.
    static let linkedTables = """
        CREATE TABLE bench.customers (id bigint PRIMARY KEY);
        INSERT INTO bench.customers SELECT generate_series(1, 1000);
        CREATE TABLE bench.linked_plain (LIKE bench.leads INCLUDING ALL,
            customer_id bigint NOT NULL DEFAULT 1 + floor(random() * 1000) REFERENCES bench.customers,
            created_at timestamptz NOT NULL DEFAULT clock_timestamp());
        CREATE UNIQUE INDEX ON bench.linked_plain (email);
        CREATE INDEX ON bench.linked_plain (customer_id, created_at);
        CREATE TABLE bench.linked (LIKE bench.linked_plain INCLUDING ALL);
        ALTER TABLE bench.linked ADD FOREIGN KEY (customer_id) REFERENCES bench.customers;
        """
    static let attachLinked = attach.replacing("bench.leads", with: "bench.linked")

    /// Inserts rows into a domain table, each by a statement of its own, in a loop inside the server.
    static func singleInserts(_ table: String, rows: Int) -> String {
        "DO $$ DECLARE n bigint; BEGIN FOR i IN 1..\(rows) LOOP n := nextval('bench.numbers'); \(insert(table)) VALUES (\(values)); END LOOP; END $$"
    }

    /// Inserts rows into a domain table, all by one statement.
    static func bulkInsert(_ table: String, rows: Int) -> String {
        "\(insert(table)) SELECT \(values) FROM (SELECT nextval('bench.numbers') AS n FROM generate_series(1, \(rows))) AS numbers"
    }

    /// Emits events, each by a call of its own, in a loop inside the server. The payload is that of an inserted row.
    static func emits(_ count: Int) -> String {
        """
        DO $$ DECLARE n bigint; data jsonb; BEGIN FOR i IN 1..\(count) LOOP n := nextval('bench.numbers');
            data := \(payload);
            PERFORM postrider.emit('bench.lead', data); END LOOP; END $$
        """
    }

    private static func insert(_ table: String) -> String { "INSERT INTO \(table) (id, name, email, status, note)" }

    private static let values =
        "n, 'Lead ' || n, 'lead' || n || '@example.com', 'new', repeat('All work and no play. ', 9)"

    /// Makes events of its inserts.
    static let attach = "SELECT postrider.attach('bench.leads', event_type => 'bench.lead')"

    /// One domain row, number `$1`.
    static let insertLead = """
        INSERT INTO bench.leads (id, name, email, status, note) VALUES ($1::bigint, 'Lead ' || $1::bigint,
            'lead' || $1::bigint || '@example.com', 'new', repeat('All work and no play. ', 9))
        """

    /// The event of that row, and no row.
    static let emitLead = """
        SELECT postrider.emit('bench.lead', \(payload), record_id => n::text) FROM (SELECT $1::bigint AS n) AS numbers
        """

    /// What a DBA does for an application: rights to write events, and a schema of its own.
    static func employ(_ role: String) -> String {
        "GRANT postrider_producer TO \(role); CREATE SCHEMA team AUTHORIZATION \(role)"
    }

    /// The domain table of that application, its attachment and a row.
    static let roleTable = """
        CREATE TABLE team.leads (id bigint PRIMARY KEY, name text NOT NULL, email text NOT NULL, status text NOT NULL,
            note text NOT NULL)
        """
    static let attachRoleTable = attach.replacing("bench.leads", with: "team.leads")
    static let insertRoleLead = insertLead.replacing("bench.leads", with: "team.leads")

    /// Event id and domain key of every event.
    static let eventsByLead = "SELECT id, record_id FROM postrider.webhook_event_log WHERE record_id IS NOT NULL"

    /// The statement that makes the doorbell as it is.
    static let doorbell = "SELECT pg_get_functiondef('postrider.doorbell_is_needed()'::regprocedure)"

    /// Takes the doorbell out of the triggers. Workers find events by looking.
    static let removeDoorbell =
        "CREATE OR REPLACE FUNCTION postrider.doorbell_is_needed() RETURNS boolean LANGUAGE sql RETURN false"

    /// Makes producers notify for as long as the session lives, as a worker does that sleeps and listens.
    static let hearDoorbell = "SELECT pg_advisory_lock_shared(7741, 2)"

    /// The tables of the bare program.
    static let bareTables = """
        CREATE SCHEMA bare;
        CREATE TABLE bare.events (id bigint PRIMARY KEY, public_id uuid NOT NULL, event_type text NOT NULL,
            data text NOT NULL);
        CREATE TABLE bare.queue (id bigint PRIMARY KEY);
        CREATE TABLE bare.deliveries (delivered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            event_ids bigint[] NOT NULL)
        """

    /// Events of the bare program, numbers `$1` to `$2`.
    static let bareFill = """
        WITH added AS (
            INSERT INTO bare.events (id, public_id, event_type, data)
            SELECT n, gen_random_uuid(), 'bench.t0', jsonb_build_object('id', n, 'name', 'Lead ' || n,
                'email', 'lead' || n || '@example.com', 'status', 'new', 'note', repeat('All work and no play. ', 9))
            FROM generate_series($1::bigint, $2::bigint) AS n
            RETURNING id
        )
        INSERT INTO bare.queue (id) SELECT id FROM added
        """

    /// Events that the bare program has written down as delivered.
    static let bareDelivered = "SELECT coalesce(sum(cardinality(event_ids)), 0) FROM bare.deliveries"

    /// Version, and the settings that decide what a commit costs.
    static let settings = """
        SELECT name, current_setting(name) FROM unnest(ARRAY['server_version', 'fsync', 'synchronous_commit',
            'full_page_writes', 'wal_level', 'shared_buffers', 'max_wal_size', 'checkpoint_timeout']) AS name
        """
}
