-- What the command line asks and orders. Each statement takes one JSON document and gives one JSON document a row, so
-- that people's tables and machines' JSON come from the same columns.

-- name: AdminLockTimeout   rows: 1
-- params: none
-- index: none
SELECT set_config('lock_timeout', '30s', true);

-- name: EndpointCreate   rows: 1, with the secret when one was generated
-- params: $1 the endpoint's columns jsonb; what is left out gets the table's default
-- index: none
INSERT INTO postrider.webhook_endpoints (name, url, events, profile, secret, organization_id, user_id, headers,
    max_attempts, base_delay_ms, delay_factor, max_delay_ms, jitter, delays_ms, timeout_ms, final_statuses,
    max_concurrency, keep_response_bytes, disable_after_s, options)
SELECT p.* FROM jsonb_to_record($1::jsonb) AS p (name text, url text, events text[], profile text, secret text,
    organization_id text, user_id text, headers jsonb, max_attempts integer, base_delay_ms bigint, delay_factor float8,
    max_delay_ms bigint, jitter float8, delays_ms bigint[], timeout_ms integer, final_statuses text,
    max_concurrency integer, keep_response_bytes integer, disable_after_s integer, options jsonb)
RETURNING jsonb_build_object('id', id, 'name', name, 'url', url, 'events', events, 'profile', profile,
    'secret', secret, 'destination_id', destination_id)::text;

-- name: WorkflowCreate   rows: 1
-- params: $1 the workflow's columns jsonb; what is left out gets the table's default
-- index: none
INSERT INTO postrider.n8n_workflows (name, webhook_url, event_types, profile, secret, organization_id, user_id, headers,
    max_attempts, base_delay_ms, delay_factor, max_delay_ms, jitter, delays_ms, timeout_ms, final_statuses,
    max_concurrency, keep_response_bytes, disable_after_s, options, workflow_id, is_active, inactive_reason)
SELECT p.* FROM jsonb_to_record($1::jsonb) AS p (name text, url text, events text[], profile text, secret text,
    organization_id text, user_id text, headers jsonb, max_attempts integer, base_delay_ms bigint, delay_factor float8,
    max_delay_ms bigint, jitter float8, delays_ms bigint[], timeout_ms integer, final_statuses text,
    max_concurrency integer, keep_response_bytes integer, disable_after_s integer, options jsonb, workflow_id text,
    is_active boolean, inactive_reason text)
RETURNING jsonb_build_object('id', id, 'name', name, 'url', webhook_url, 'events', event_types, 'profile', profile,
    'secret', secret, 'destination_id', destination_id)::text;

-- name: EndpointList   rows: endpoints by name; one when id (a uuid or a name) is given
-- params: $1 {"id"} jsonb
-- index: none: administration reads them all
SELECT (to_jsonb(e) || jsonb_build_object('headers', postrider.shown_headers(e.headers),
    'secret_expires_at', postrider.secret_expires_at(e.destination_id)))::text
FROM postrider.webhook_endpoints AS e
WHERE $1::jsonb ->> 'id' IS NULL OR e.id::text = $1::jsonb ->> 'id' OR e.name = $1::jsonb ->> 'id'
ORDER BY e.name, e.id;

-- name: WorkflowList   rows: n8n workflows by name; one when id (a uuid or a name) is given
-- params: $1 {"id"} jsonb
-- index: none: administration reads them all
SELECT (to_jsonb(w) - '{webhook_url,event_types}'::text[] || jsonb_build_object('url', w.webhook_url, 'events', w.event_types,
    'headers', postrider.shown_headers(w.headers),
    'secret_expires_at', postrider.secret_expires_at(w.destination_id)))::text
FROM postrider.n8n_workflows AS w
WHERE $1::jsonb ->> 'id' IS NULL OR w.id::text = $1::jsonb ->> 'id' OR w.name = $1::jsonb ->> 'id'
ORDER BY w.name, w.id;

-- name: EndpointUpdate   rows: 0..1
-- params: $1 {"id": uuid, …columns to change} jsonb
-- index: webhook_destinations_public_id_key
UPDATE postrider.webhook_endpoints AS e
SET name = coalesce(p.name, e.name), url = coalesce(p.url, e.url), events = coalesce(p.events, e.events),
    profile = coalesce(p.profile, e.profile),
    -- Null lets the events of all through again.
    organization_id = CASE WHEN $1::jsonb ? 'organization_id' THEN p.organization_id ELSE e.organization_id END,
    user_id = CASE WHEN $1::jsonb ? 'user_id' THEN p.user_id ELSE e.user_id END,
    headers = coalesce(p.headers, e.headers),
    max_attempts = coalesce(p.max_attempts, e.max_attempts), base_delay_ms = coalesce(p.base_delay_ms, e.base_delay_ms),
    delay_factor = coalesce(p.delay_factor, e.delay_factor), max_delay_ms = coalesce(p.max_delay_ms, e.max_delay_ms),
    jitter = coalesce(p.jitter, e.jitter),
    -- A policy without a list of waits takes the list away.
    delays_ms = CASE WHEN $1::jsonb ? 'delays_ms' THEN p.delays_ms ELSE e.delays_ms END,
    timeout_ms = coalesce(p.timeout_ms, e.timeout_ms), final_statuses = coalesce(p.final_statuses, e.final_statuses),
    max_concurrency = coalesce(p.max_concurrency, e.max_concurrency),
    -- Each option that is given replaces the one of its name; null takes it away.
    options = (e.options || coalesce(p.options, '{}'))
        - ARRAY(SELECT o.key FROM jsonb_each(p.options) AS o WHERE o.value = 'null'),
    disable_after_s = coalesce(p.disable_after_s, e.disable_after_s), is_active = coalesce(p.is_active, e.is_active)
FROM jsonb_to_record($1::jsonb) AS p (id uuid, name text, url text, events text[], profile text,
    organization_id text, user_id text, headers jsonb, max_attempts integer, base_delay_ms bigint, delay_factor float8,
    max_delay_ms bigint, jitter float8, delays_ms bigint[], timeout_ms integer, final_statuses text,
    max_concurrency integer, disable_after_s integer, options jsonb, is_active boolean)
WHERE e.id = p.id
RETURNING jsonb_build_object('id', e.id, 'name', e.name, 'is_active', e.is_active)::text;

-- name: WorkflowUpdate   rows: 0..1
-- params: $1 {"id": uuid, …columns to change} jsonb
-- index: webhook_destinations_public_id_key
UPDATE postrider.n8n_workflows AS e
SET name = coalesce(p.name, e.name), webhook_url = coalesce(p.url, e.webhook_url),
    event_types = coalesce(p.events, e.event_types), profile = coalesce(p.profile, e.profile),
    -- Null lets the events of all through again.
    organization_id = CASE WHEN $1::jsonb ? 'organization_id' THEN p.organization_id ELSE e.organization_id END,
    user_id = CASE WHEN $1::jsonb ? 'user_id' THEN p.user_id ELSE e.user_id END,
    headers = coalesce(p.headers, e.headers), max_attempts = coalesce(p.max_attempts, e.max_attempts),
    base_delay_ms = coalesce(p.base_delay_ms, e.base_delay_ms), delay_factor = coalesce(p.delay_factor, e.delay_factor),
    max_delay_ms = coalesce(p.max_delay_ms, e.max_delay_ms), jitter = coalesce(p.jitter, e.jitter),
    -- A policy without a list of waits takes the list away.
    delays_ms = CASE WHEN $1::jsonb ? 'delays_ms' THEN p.delays_ms ELSE e.delays_ms END,
    timeout_ms = coalesce(p.timeout_ms, e.timeout_ms),
    final_statuses = coalesce(p.final_statuses, e.final_statuses),
    max_concurrency = coalesce(p.max_concurrency, e.max_concurrency),
    -- Each option that is given replaces the one of its name; null takes it away.
    options = (e.options || coalesce(p.options, '{}'))
        - ARRAY(SELECT o.key FROM jsonb_each(p.options) AS o WHERE o.value = 'null'),
    disable_after_s = coalesce(p.disable_after_s, e.disable_after_s), is_active = coalesce(p.is_active, e.is_active),
    -- A person's word goes before an import's also when the import came first.
    inactive_reason = CASE WHEN $1::jsonb ? 'inactive_reason' THEN p.inactive_reason
                           WHEN NOT p.is_active AND NOT e.is_active THEN 'disabled by hand' ELSE e.inactive_reason END,
    workflow_id = coalesce(p.workflow_id, e.workflow_id)
FROM jsonb_to_record($1::jsonb) AS p (id uuid, name text, url text, events text[], profile text,
    organization_id text, user_id text, headers jsonb, max_attempts integer, base_delay_ms bigint, delay_factor float8,
    max_delay_ms bigint, jitter float8, delays_ms bigint[], timeout_ms integer, final_statuses text,
    max_concurrency integer, disable_after_s integer, options jsonb, is_active boolean, inactive_reason text,
    workflow_id text)
WHERE e.id = p.id
RETURNING jsonb_build_object('id', e.id, 'name', e.name, 'is_active', e.is_active)::text;

-- name: EndpointDelete   rows: 0..1
-- params: $1 {"id": uuid} jsonb
-- index: webhook_destinations_public_id_key, webhook_dead_letters_destination_idx
-- Retries that went with it are counted by webhook_destination_switched, whose trigger ran before RETURNING.
DELETE FROM postrider.webhook_endpoints AS e WHERE e.id = ($1::jsonb ->> 'id')::uuid
RETURNING jsonb_build_object('id', e.id, 'name', e.name,
    'given_up', nullif(current_setting('postrider.given_up', true), '')::bigint,
    'dead_letters', (SELECT count(*) FROM postrider.webhook_dead_letters AS l
                     WHERE l.destination_id = e.destination_id AND l.archived_at IS NULL))::text;

-- name: WorkflowDelete   rows: 0..1
-- params: $1 {"id": uuid} jsonb
-- index: webhook_destinations_public_id_key, webhook_dead_letters_destination_idx
-- Retries that went with it are counted by webhook_destination_switched, whose trigger ran before RETURNING.
DELETE FROM postrider.n8n_workflows AS e WHERE e.id = ($1::jsonb ->> 'id')::uuid
RETURNING jsonb_build_object('id', e.id, 'name', e.name,
    'given_up', nullif(current_setting('postrider.given_up', true), '')::bigint,
    'dead_letters', (SELECT count(*) FROM postrider.webhook_dead_letters AS l
                     WHERE l.destination_id = e.destination_id AND l.archived_at IS NULL))::text;

-- name: DeletionPlan   rows: 0..1
-- params: $1 {"id": uuid} jsonb
-- index: webhook_destinations_public_id_key, webhook_retries_due_idx, webhook_dead_letters_destination_idx
SELECT jsonb_build_object('id', d.public_id, 'name', d.name,
    'given_up', (SELECT count(*) FROM postrider.webhook_retries AS r WHERE r.destination_id = d.id),
    'dead_letters', (SELECT count(*) FROM postrider.webhook_dead_letters AS l
                     WHERE l.destination_id = d.id AND l.archived_at IS NULL))::text
FROM postrider.webhook_destinations AS d WHERE d.public_id = ($1::jsonb ->> 'id')::uuid AND d.deleted_at IS NULL;

-- name: SecretRotate   rows: 1, with the new secret
-- params: $1 {"id": uuid, "secret": text or null, "overlap_ms": number} jsonb
-- index: webhook_secrets_pkey
SELECT jsonb_build_object('id', $1::jsonb ->> 'id', 'secret', postrider.rotate_secret(($1::jsonb ->> 'id')::uuid,
    $1::jsonb ->> 'secret', ($1::jsonb ->> 'overlap_ms')::float8 * interval '1 millisecond'))::text;

-- name: EventEmit   rows: 1
-- params: $1 {"type", "data", "organization_id", "user_id", "record_id", "ordering_key", "priority"} jsonb
-- index: none
SELECT jsonb_build_object('id', postrider.emit(p.type, p.data, p.organization_id, p.user_id, p.record_id,
    p.ordering_key, coalesce(p.priority, 1)))::text
FROM jsonb_to_record($1::jsonb) AS p (type text, data jsonb, organization_id text, user_id text, record_id text,
    ordering_key text, priority integer);

-- name: EventList   rows: events, newest first
-- params: $1 {"since_s", "type", "status", "organization_id", "limit"} jsonb
-- index: webhook_event_log_pkey
SELECT jsonb_build_object('id', e.id, 'event_type', e.event_type, 'status', e.status, 'retry_count', e.retry_count,
    'created_at', e.created_at, 'organization_id', e.organization_id, 'error_message', e.error_message)::text
FROM postrider.webhook_events AS e
WHERE e.id >= postrider.event_id_at(now() - ($1::jsonb ->> 'since_s')::float8 * interval '1 second')
  AND ($1::jsonb ->> 'type' IS NULL OR postrider.matches(ARRAY[$1::jsonb ->> 'type'], e.event_type))
  AND ($1::jsonb ->> 'organization_id' IS NULL OR e.organization_id = $1::jsonb ->> 'organization_id')
  AND ($1::jsonb ->> 'status' IS NULL OR e.status = $1::jsonb ->> 'status')
ORDER BY e.id DESC
LIMIT ($1::jsonb ->> 'limit')::bigint;

-- name: EventShow   rows: 0..1, with deliveries and attempts
-- params: $1 {"id": uuid} jsonb
-- index: webhook_event_log_pkey, webhook_attempts_delivery_idx
SELECT (to_jsonb(e) || jsonb_build_object(
    'data_text', e.data::text,
    -- The words that lists have: the view's columns have names that applications know.
    'deliveries', (SELECT coalesce(jsonb_agg(to_jsonb(d) - '{payload,event_type,webhook_event_id,webhook_endpoint_id,destination_kind,
                              destination_name,attempt_number,response_status_code}'::text[] || jsonb_build_object(
                              'event_id', d.webhook_event_id, 'endpoint_id', d.webhook_endpoint_id, 'endpoint', d.destination_name,
                              'kind', d.destination_kind, 'attempts', d.attempt_number) ORDER BY d.destination_id), '[]')
                   FROM postrider.webhook_deliveries AS d WHERE d.webhook_event_id = e.id),
    'history', (SELECT coalesce(jsonb_agg(to_jsonb(a) - 'event_id' ORDER BY a.attempted_at), '[]')
                FROM postrider.webhook_attempts AS a WHERE a.event_id = e.id)))::text
FROM postrider.webhook_events AS e
WHERE e.id = ($1::jsonb ->> 'id')::uuid;

-- name: DeliveryList   rows: deliveries, newest event first
-- params: $1 {"since_s", "event", "endpoint", "status", "limit"} jsonb
-- index: webhook_attempts_delivery_idx
SELECT jsonb_build_object('id', d.id, 'event_id', d.webhook_event_id, 'event_type', d.event_type,
    'endpoint', d.destination_name, 'status', d.status, 'attempts', d.attempt_number, 'status_code', d.status_code,
    'next_retry_at', d.next_retry_at, 'attempted_at', d.attempted_at, 'failure', d.failure)::text
FROM postrider.webhook_deliveries AS d
WHERE d.webhook_event_id >= coalesce(($1::jsonb ->> 'event')::uuid,
          postrider.event_id_at(now() - ($1::jsonb ->> 'since_s')::float8 * interval '1 second'))
  AND d.webhook_event_id <= coalesce(($1::jsonb ->> 'event')::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
  AND ($1::jsonb ->> 'endpoint' IS NULL OR d.webhook_endpoint_id::text = $1::jsonb ->> 'endpoint'
       OR d.destination_name = $1::jsonb ->> 'endpoint')
  AND ($1::jsonb ->> 'status' IS NULL OR d.status = $1::jsonb ->> 'status')
ORDER BY d.webhook_event_id DESC, d.destination_id
LIMIT ($1::jsonb ->> 'limit')::bigint;

-- name: DeliveryShow   rows: 0..1, with its attempts
-- params: $1 {"id": uuid} jsonb
-- index: webhook_attempts_delivery_idx
-- A delivery's id begins with the first 8 bytes of its event's id.
SELECT (to_jsonb(d) - '{webhook_event_id,webhook_endpoint_id,destination_kind,destination_name,attempt_number,
        response_status_code}'::text[] || jsonb_build_object(
    'event_id', d.webhook_event_id, 'endpoint_id', d.webhook_endpoint_id, 'endpoint', d.destination_name,
    'kind', d.destination_kind, 'attempts', d.attempt_number,
    'history', (SELECT coalesce(jsonb_agg(to_jsonb(a) - 'event_id' - 'destination_id' ORDER BY a.attempted_at), '[]')
                FROM postrider.webhook_attempts AS a
                WHERE a.event_id = d.webhook_event_id AND a.destination_id = d.destination_id)))::text
FROM postrider.webhook_deliveries AS d
WHERE d.webhook_event_id >= (left($1::jsonb ->> 'id', 18) || '-0000-000000000000')::uuid
  AND d.webhook_event_id <= (left($1::jsonb ->> 'id', 18) || '-ffff-ffffffffffff')::uuid
  AND d.id = ($1::jsonb ->> 'id')::uuid;

-- name: RetentionShow   rows: 1
-- params: $1 ignored jsonb
-- index: none: one row
SELECT jsonb_build_object('events', r.keep_events::text, 'attempts', r.keep_attempts::text, 'payloads', r.keep_payloads::text,
    'audit', r.keep_audit::text, 'upkeep_at', nullif(r.upkeep_at, '-infinity'))::text
FROM postrider.webhook_retention AS r WHERE $1::jsonb IS NOT NULL;

-- name: RetentionSet   rows: 1
-- params: $1 {"events_s", "attempts_s", "payloads_s", "audit_s"} jsonb: seconds; 0 for ever; what is left out stays
-- index: none: one row
UPDATE postrider.webhook_retention AS r
SET keep_events = CASE WHEN p.events_s IS NULL THEN r.keep_events ELSE justify_hours(nullif(p.events_s, 0) * interval '1 second') END,
    -- Those that were not named follow when events are to be kept for less.
    keep_attempts = CASE WHEN p.attempts_s IS NULL THEN CASE WHEN p.events_s > 0 AND r.keep_attempts > p.events_s * interval '1 second'
                                                             THEN NULL ELSE r.keep_attempts END ELSE justify_hours(nullif(p.attempts_s, 0) * interval '1 second') END,
    keep_payloads = CASE WHEN p.payloads_s IS NULL THEN CASE WHEN p.events_s > 0 AND r.keep_payloads > p.events_s * interval '1 second'
                                                             THEN NULL ELSE r.keep_payloads END ELSE justify_hours(nullif(p.payloads_s, 0) * interval '1 second') END,
    keep_audit = CASE WHEN p.audit_s IS NULL THEN r.keep_audit ELSE justify_hours(nullif(p.audit_s, 0) * interval '1 second') END
FROM jsonb_to_record($1::jsonb) AS p (events_s float8, attempts_s float8, payloads_s float8, audit_s float8)
RETURNING jsonb_build_object('events', r.keep_events::text, 'attempts', r.keep_attempts::text,
    'payloads', r.keep_payloads::text)::text;

-- name: QueueStatus   rows: 1
-- params: $1 ignored jsonb
-- index: none: reads the queue
SELECT to_jsonb(s)::text FROM postrider.webhook_queue_status AS s WHERE $1::jsonb IS NOT NULL;

-- name: AttachmentList   rows: attachments
-- params: $1 ignored jsonb
-- index: none
SELECT to_jsonb(a)::text FROM postrider.webhook_attachments AS a WHERE $1::jsonb IS NOT NULL ORDER BY a.table_name, a.name;

-- name: AttachmentCreate   rows: 1
-- params: $1 {"table", …options of postrider.attach} jsonb
-- index: none
SELECT jsonb_build_object('name', postrider.attach(p."table"::regclass, event_type => p.event_type,
    operations => coalesce(p.operations, '{insert}'), condition => p.condition,
    event_type_expression => p.event_type_expression, columns => p.columns, except_columns => p.except_columns,
    organization_id => p.organization_id, user_id => p.user_id, record_id => p.record_id,
    ordering_key => p.ordering_key, priority => p.priority, include_old => coalesce(p.include_old, false),
    name => p.name))::text
FROM jsonb_to_record($1::jsonb) AS p ("table" text, event_type text, operations text[], condition text,
    event_type_expression text, columns text[], except_columns text[], organization_id text, user_id text,
    record_id text, ordering_key text, priority text, include_old boolean, name text);

-- name: AttachmentDelete   rows: 1
-- params: $1 {"table", "name"} jsonb
-- index: none
SELECT jsonb_build_object('count', postrider.detach(($1::jsonb ->> 'table')::regclass, $1::jsonb ->> 'name'))::text;

-- name: RoleSetup   rows: 1, the statements that make the roles which are missing; null when none is
-- params: none
-- index: none
SELECT postrider.role_setup();

-- name: Diagnosis   rows: 1, everything that doctor can learn with one question
-- params: $1 ignored jsonb
-- index: none
SELECT jsonb_build_object(
    'server_version', current_setting('server_version'),
    'now_s', extract(epoch FROM clock_timestamp()),
    'in_recovery', pg_is_in_recovery(),
    'queue', (SELECT to_jsonb(s) FROM postrider.webhook_queue_status AS s),
    'oldest_waiting_s', (SELECT extract(epoch FROM s.oldest_waiting_age) FROM postrider.webhook_queue_status AS s),
    'blocked_keys', (SELECT count(*) FROM postrider.webhook_keys AS k JOIN postrider.webhook_dead_letters AS l
                     ON l.event_id = k.head AND l.destination_id = k.destination_id),
    'replays_left', (SELECT count(*) FROM postrider.webhook_replays AS r
                     WHERE r.state = 'running' AND coalesce(r.driven_at, r.created_at)
                           < clock_timestamp() - interval '30 seconds'),
    'attachments', (SELECT count(*) FROM postrider.webhook_attachments),
    'faults', (SELECT coalesce(jsonb_agg(to_jsonb(c)), '[]') FROM postrider.webhook_attachment_check AS c),
    'enqueue_enabled', (SELECT tgenabled <> 'D' FROM pg_catalog.pg_trigger
                        WHERE tgrelid = 'postrider.webhook_event_log'::regclass AND tgname = 'webhook_enqueue'),
    'weeks_ahead', (SELECT count(*) FROM pg_catalog.pg_inherits AS i
                    JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
                    WHERE i.inhparent = 'postrider.webhook_event_log'::regclass
                      AND c.relname > 'webhook_event_log_' || to_char(now() AT TIME ZONE 'UTC', 'IYYY_IW')
                      AND c.relname !~ '_(earlier|later)$'),
    -- Not clock_timestamp(): the snapshot is of the statement's start, and a lease in it is over when the rest takes 1.5 s.
    'workers_alive', (SELECT count(*) FROM postrider.webhook_workers WHERE alive AND lease_until > statement_timestamp()),
    'workers_silent', (SELECT count(*) FROM postrider.webhook_workers WHERE alive AND lease_until <= statement_timestamp()),
    -- A snapshot of another database holds back nothing here. Whoever has written does, in whatever database: its id stands
    -- in every snapshot, also when it has none of its own.
    'oldest_transaction', (SELECT jsonb_build_object('pid', a.pid, 'age_s', extract(epoch FROM clock_timestamp() - a.xact_start))
                           FROM pg_catalog.pg_stat_activity AS a
                           WHERE num_nonnulls(a.backend_xmin, a.backend_xid) > 0 AND a.pid <> pg_backend_pid()
                             AND a.backend_type = 'client backend' AND (a.backend_xid IS NOT NULL OR a.datname = current_database())
                           ORDER BY a.xact_start LIMIT 1),
    'sees_sessions', pg_has_role('pg_read_all_stats', 'USAGE'),
    'role', (SELECT jsonb_build_object('name', r.rolname, 'superuser', r.rolsuper, 'bypasses', r.rolbypassrls,
                 'owner', pg_has_role(n.nspowner, 'USAGE'),
                 'member_of', (SELECT string_agg(m.rolname, ', ' ORDER BY m.rolname) FROM pg_catalog.pg_roles AS m
                               WHERE m.rolname IN (SELECT g.role_name FROM postrider.webhook_grants AS g)
                                 AND pg_has_role(m.oid, 'USAGE')))
             FROM pg_catalog.pg_roles AS r, pg_catalog.pg_namespace AS n
             WHERE r.rolname = current_user AND n.nspname = 'postrider'),
    'role_setup', postrider.role_setup(),
    'retention', (SELECT jsonb_build_object('events', r.keep_events::text, 'attempts', r.keep_attempts::text,
                      'payloads', r.keep_payloads::text,
                      'upkeep_age_s', extract(epoch FROM clock_timestamp() - nullif(r.upkeep_at, '-infinity')))
                  FROM postrider.webhook_retention AS r),
    'privacy', (SELECT jsonb_build_object('erasures', count(*),
                    'erasure_age_s', extract(epoch FROM clock_timestamp() - min(e.requested_at)),
                    'sealing_lag_s', (SELECT max(extract(epoch FROM clock_timestamp()
                                          - coalesce(postrider.event_id_time(t.sealed_to), t.created_at)))
                                      FROM postrider.webhook_sealed_types AS t))
                FROM postrider.webhook_erasures AS e WHERE e.finished_at IS NULL),
    'payload_keys', (SELECT coalesce(jsonb_agg(jsonb_build_object('name', k.key_name, 'payloads', k.payloads) ORDER BY k.first_id), '[]')
                     FROM postrider.webhook_payload_keys AS k
                     WHERE EXISTS (SELECT FROM postrider.webhook_event_log AS e WHERE e.id BETWEEN k.first_id AND k.last_id)),
    'prepared_transactions', (SELECT count(*) FROM pg_catalog.pg_prepared_xacts),
    'inactive_slots', (SELECT count(*) FROM pg_catalog.pg_replication_slots
                       WHERE NOT active AND num_nonnulls(xmin, catalog_xmin) > 0),
    'plain_http', (SELECT count(*) FROM postrider.webhook_destinations
                   WHERE deleted_at IS NULL AND is_active AND url ILIKE 'http://%'),
    'test_urls', (SELECT coalesce(jsonb_agg(name ORDER BY name), '[]') FROM postrider.webhook_destinations
                  WHERE deleted_at IS NULL AND is_active AND url ~ '^[^?]*/webhook-test/'),
    'unset', (SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_object('name', n.name, 'organization_id', d.organization_id,
                                                                    'of_user', d.user_id IS NOT NULL)), '[]')
              FROM postrider.webhook_destinations AS d,
                   regexp_matches(replace(jsonb_build_array(d.options -> 'auth', d.options -> 'tls', d.options -> 'proxy')::text, '$${', ''), '\$\{([A-Za-z_][A-Za-z0-9_]*)\}', 'g') AS m,
                   LATERAL (SELECT m[1] AS name) AS n
              WHERE d.deleted_at IS NULL AND d.is_active AND d.options <> '{}'
                AND NOT EXISTS (SELECT FROM postrider.webhook_settings AS s WHERE s.name = n.name
                                AND (s.organization_id = d.organization_id OR s.organization_id IS NULL
                                     AND (s.is_shared OR d.organization_id IS NULL AND d.user_id IS NULL)))))::text
WHERE $1::jsonb IS NOT NULL;

-- name: ForgetPlan   rows: 1, what forgetting a person would erase and drop
-- params: $1 {"user", "organization_id"} jsonb
-- index: none: reads the log
WITH mine AS MATERIALIZED (
    SELECT e.id, postrider.is_removed(e.data) AS is_removed FROM postrider.webhook_event_log AS e
    WHERE e.user_id = $1::jsonb ->> 'user'
      AND ($1::jsonb ->> 'organization_id' IS NULL OR e.organization_id = $1::jsonb ->> 'organization_id')
)
SELECT jsonb_build_object('events', (SELECT count(*) FROM mine WHERE NOT is_removed),
    'attempts', (SELECT count(*) FROM mine JOIN postrider.webhook_attempts AS a ON a.event_id = mine.id
                 WHERE a.failure IS DISTINCT FROM 'erased' AND num_nonnulls(a.response_body, a.error_message) > 0),
    'dropped', (SELECT count(*) FROM mine JOIN postrider.webhook_retries AS r ON r.event_id = mine.id))::text;

-- name: ForgetUser   rows: 1
-- params: $1 {"user", "organization_id", "also_id": bool} jsonb
-- index: webhook_event_log_pkey
SELECT to_jsonb(f)::text FROM postrider.forget_user($1::jsonb ->> 'user', $1::jsonb ->> 'organization_id',
    coalesce(($1::jsonb ->> 'also_id')::boolean, false)) AS f;

-- name: ErasureGoOn   rows: 1: one batch; nulls when it is finished or another session does it
-- params: $1 {"erasure"} jsonb
-- index: webhook_event_log_pkey
SELECT to_jsonb(b)::text FROM postrider.erase_batch(($1::jsonb ->> 'erasure')::integer) AS b;

-- name: ErasureShow   rows: 0..1
-- params: $1 {"erasure"} jsonb
-- index: webhook_erasures_pkey
SELECT jsonb_build_object('erasure', e.id, 'subject', e.subject, 'events', e.events, 'attempts', e.attempts,
    'dropped', e.dropped, 'requested_at', e.requested_at, 'finished_at', e.finished_at)::text
FROM postrider.webhook_erasures AS e WHERE e.id = ($1::jsonb ->> 'erasure')::integer;

-- name: AuditLogList   rows: lines of the audit log, newest first
-- params: $1 {"since_s", "object", "limit"} jsonb; object: a kind, an id, a name, or the id of a person who was forgotten
-- index: webhook_audit_log_pkey
SELECT to_jsonb(l)::text FROM postrider.webhook_audit_log AS l
WHERE l.at >= now() - ($1::jsonb ->> 'since_s')::float8 * interval '1 second'
  AND ($1::jsonb ->> 'object' IS NULL OR $1::jsonb ->> 'object' IN (l.object_kind, l.object_id, l.object_name)
       OR starts_with(l.object_name, ($1::jsonb ->> 'object') || ' ')
       OR l.object_id = encode(sha256(convert_to($1::jsonb ->> 'object', 'UTF8')), 'hex'))
ORDER BY l.id DESC
LIMIT ($1::jsonb ->> 'limit')::bigint;

-- name: DeniedColumnList   rows: denied columns, those of every table first
-- params: $1 ignored jsonb
-- index: none
SELECT jsonb_build_object('table_name', coalesce(d.target::text, '*'),
    'column', array_to_string(d.column_name || d.path, '.'), 'created_by', d.created_by, 'created_at', d.created_at)::text
FROM postrider.webhook_denied_columns AS d WHERE $1::jsonb IS NOT NULL
ORDER BY d.target IS NOT NULL, d.target::text, d.column_name, d.path;

-- name: DeniedColumnAdd   rows: 1, how many attachments were rebuilt
-- params: $1 {"table": text or null for every one, "column", "path": […]} jsonb
-- index: none
SELECT jsonb_build_object('rebuilt', postrider.deny_column(($1::jsonb ->> 'table')::regclass, $1::jsonb ->> 'column',
    VARIADIC ARRAY(SELECT jsonb_array_elements_text($1::jsonb -> 'path'))))::text;

-- name: DeniedColumnRemove   rows: 1, how many attachments were rebuilt
-- params: as DeniedColumnAdd
-- index: none
SELECT jsonb_build_object('rebuilt', postrider.allow_column(($1::jsonb ->> 'table')::regclass, $1::jsonb ->> 'column',
    VARIADIC ARRAY(SELECT jsonb_array_elements_text($1::jsonb -> 'path'))))::text;

-- name: SealedTypeList   rows: sealed types
-- params: $1 ignored jsonb
-- index: none
SELECT jsonb_build_object('pattern', t.pattern, 'sealed_to', postrider.event_id_time(t.sealed_to), 'created_by', t.created_by,
    'created_at', t.created_at)::text
FROM postrider.webhook_sealed_types AS t WHERE $1::jsonb IS NOT NULL ORDER BY t.pattern;

-- name: SealedTypeAdd   rows: 1
-- params: $1 {"pattern"} jsonb
-- index: webhook_sealed_types_pkey
SELECT jsonb_build_object('pattern', $1::jsonb ->> 'pattern', 'done', postrider.seal_type($1::jsonb ->> 'pattern') IS NOT NULL)::text;

-- name: SealedTypeRemove   rows: 1
-- params: $1 {"pattern"} jsonb
-- index: webhook_sealed_types_pkey
SELECT jsonb_build_object('pattern', $1::jsonb ->> 'pattern', 'done', postrider.unseal_type($1::jsonb ->> 'pattern') IS NOT NULL)::text;

-- name: PayloadKeyList   rows: keys that payloads which still exist may be sealed with
-- params: $1 ignored jsonb
-- index: webhook_event_log_pkey
SELECT jsonb_build_object('key', k.key_name, 'payloads', k.payloads, 'first_at', postrider.event_id_time(k.first_id),
    'last_at', postrider.event_id_time(k.last_id))::text
FROM postrider.webhook_payload_keys AS k
WHERE $1::jsonb IS NOT NULL AND EXISTS (SELECT FROM postrider.webhook_event_log AS e WHERE e.id BETWEEN k.first_id AND k.last_id)
ORDER BY k.first_id;
-- name: DestinationKnown   rows: 1
-- params: $1 {"endpoint": id or name} jsonb
-- index: none: destinations are read whole
-- Deleted ones count: their deliveries and dead letters are there yet.
SELECT jsonb_build_object('known', EXISTS (
    SELECT FROM postrider.webhook_destinations AS d
    WHERE d.public_id::text = $1::jsonb ->> 'endpoint' OR d.name = $1::jsonb ->> 'endpoint'))::text;

-- name: OrderList   rows: ordering keys with work, blocked ones first, then the oldest
-- params: $1 {"endpoint", "blocked": bool, "limit"} jsonb
-- index: none: keys with work are read whole
SELECT to_jsonb(k)::text FROM postrider.webhook_key_status AS k
WHERE ($1::jsonb ->> 'endpoint' IS NULL OR k.endpoint_id::text = $1::jsonb ->> 'endpoint' OR k.endpoint = $1::jsonb ->> 'endpoint')
  AND (NOT ($1::jsonb ->> 'blocked')::boolean OR k.state = 'blocked')
ORDER BY k.state <> 'blocked', k.headed_at
LIMIT ($1::jsonb ->> 'limit')::bigint;

-- name: OrderSkip   rows: 0..1; a name that no destination has, or several, is an error
-- params: $1 {"endpoint", "key"} jsonb
-- index: webhook_keys_pkey
SELECT jsonb_build_object('event_id', postrider.skip_key(d.public_id, $1::jsonb ->> 'key'), 'endpoint', d.name)::text
FROM postrider.webhook_destinations AS d
WHERE d.id = (SELECT postrider.replay_destination($1::jsonb ->> 'endpoint'));

-- name: SecretExpire   rows: 1, with the date
-- params: $1 {"id": uuid, "expires_in_ms": number} jsonb
-- index: webhook_secrets_pkey
SELECT jsonb_build_object('id', $1::jsonb ->> 'id', 'expires_at', postrider.expire_secret(($1::jsonb ->> 'id')::uuid,
    ($1::jsonb ->> 'expires_in_ms')::float8 * interval '1 millisecond'))::text;

-- name: SecretExpiryList   rows: 0..n destinations whose newest secret has a date, the earliest first
-- params: $1 ignored jsonb
-- index: none: administration reads them all
SELECT jsonb_build_object('name', d.name, 'kind', d.kind, 'expires_at', s.at,
    'left_s', extract(epoch FROM s.at - clock_timestamp()))::text
FROM postrider.webhook_destinations AS d, LATERAL (SELECT postrider.secret_expires_at(d.id) AS at) AS s
WHERE d.deleted_at IS NULL AND s.at IS NOT NULL AND $1::jsonb IS NOT NULL
ORDER BY s.at, d.id;

-- name: ProfileList   rows: profiles that are rows or are used, by name; built-in ones have no profile
-- params: $1 ignored jsonb
-- index: none: administration reads them all
SELECT jsonb_build_object('name', n.name, 'destinations', (
    SELECT count(*) FROM postrider.webhook_destinations AS d WHERE d.profile = n.name AND d.deleted_at IS NULL),
    'profile', (SELECT to_jsonb(p) FROM postrider.webhook_profiles AS p WHERE p.name = n.name))::text
FROM (SELECT p.name FROM postrider.webhook_profiles AS p
      UNION SELECT d.profile FROM postrider.webhook_destinations AS d WHERE d.deleted_at IS NULL) AS n
WHERE $1::jsonb IS NOT NULL
ORDER BY n.name;

-- name: ProfileCreate   rows: 1
-- params: $1 all columns but the times jsonb
-- index: none
INSERT INTO postrider.webhook_profiles (name, purpose, content_type, user_agent, envelope, headers, signs, encoding,
    prefix, ed25519_prefix, separator, secret_form)
SELECT p.* FROM jsonb_to_record($1::jsonb) AS p (name text, purpose text, content_type text, user_agent text,
    envelope text, headers text[], signs text, encoding text, prefix text, ed25519_prefix text, separator text,
    secret_form text)
RETURNING jsonb_build_object('name', name)::text;

-- name: ProfileUpdate   rows: 0..1
-- params: $1 all columns but the times jsonb
-- index: webhook_profiles_pkey
UPDATE postrider.webhook_profiles AS o
SET purpose = p.purpose, content_type = p.content_type, user_agent = p.user_agent, envelope = p.envelope,
    headers = p.headers, signs = p.signs, encoding = p.encoding, prefix = p.prefix, ed25519_prefix = p.ed25519_prefix,
    separator = p.separator, secret_form = p.secret_form
FROM jsonb_to_record($1::jsonb) AS p (name text, purpose text, content_type text, user_agent text, envelope text,
    headers text[], signs text, encoding text, prefix text, ed25519_prefix text, separator text, secret_form text)
WHERE o.name = p.name
RETURNING jsonb_build_object('name', o.name)::text;

-- name: ProfileDelete   rows: 0..1
-- params: $1 {"name"} jsonb
-- index: webhook_profiles_pkey
DELETE FROM postrider.webhook_profiles WHERE name = $1::jsonb ->> 'name' RETURNING jsonb_build_object('name', name)::text;

-- name: SettingSet   rows: 1
-- params: $1 {"name", "organization_id", "is_shared", "value"} jsonb
-- index: webhook_settings_name_key
-- The value is taken from the parameter in both places: what an administrator may not read back cannot be taken from the row.
INSERT INTO postrider.webhook_settings AS s (organization_id, name, is_shared, value)
SELECT p.organization_id, p.name, coalesce(p.is_shared, false), p.value
FROM jsonb_to_record($1::jsonb) AS p (organization_id text, name text, is_shared boolean, value text)
ON CONFLICT (organization_id, name) DO UPDATE
SET value = $1::jsonb ->> 'value', is_shared = coalesce(($1::jsonb ->> 'is_shared')::boolean, s.is_shared),
    updated_at = clock_timestamp()
RETURNING jsonb_build_object('name', name, 'organization_id', organization_id, 'is_shared', is_shared)::text;

-- name: SettingList   rows: settings by name, without their values
-- params: $1 ignored jsonb
-- index: none: reads them all
SELECT jsonb_build_object('name', name, 'organization_id', organization_id, 'is_shared', is_shared,
    'created_at', created_at, 'updated_at', updated_at)::text
FROM postrider.webhook_settings WHERE $1::jsonb IS NOT NULL ORDER BY name, organization_id NULLS FIRST;

-- name: SettingRemove   rows: 0..1
-- params: $1 {"name", "organization_id"} jsonb
-- index: webhook_settings_name_key
DELETE FROM postrider.webhook_settings
WHERE name = $1::jsonb ->> 'name' AND organization_id IS NOT DISTINCT FROM $1::jsonb ->> 'organization_id'
RETURNING jsonb_build_object('name', name, 'organization_id', organization_id)::text;
