-- Undoes 0004. Lost: which destinations fail now, and each destination's disable_after_s.
DROP VIEW postrider.webhook_destination_status;
DROP VIEW postrider.n8n_workflows, postrider.webhook_endpoints;
CREATE OR REPLACE FUNCTION postrider.webhook_destination_switched() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.deleted_at IS NOT NULL THEN
        DELETE FROM postrider.webhook_retries WHERE destination_id = NEW.id;
    ELSE
        UPDATE postrider.webhook_retries SET due_at = clock_timestamp()
        WHERE destination_id = NEW.id AND due_at = 'infinity' AND ordering_key IS NULL;
        PERFORM pg_notify('postrider_wake', 'retries');
    END IF;
    RETURN NULL;
END
$$;
DROP TRIGGER webhook_destination_moved ON postrider.webhook_destinations;
DROP FUNCTION postrider.webhook_destination_moved(), postrider.breaker_wait(integer);
DROP TABLE postrider.webhook_breakers;
ALTER TABLE postrider.webhook_destinations DROP COLUMN disable_after_s;

-- The views as 0002 made them.
CREATE VIEW postrider.webhook_endpoints WITH (security_invoker = true) AS
SELECT d.public_id AS id, d.user_id, d.organization_id, d.name, d.url, d.event_types AS events,
       postrider.secret_hint(d.id) AS secret, d.is_active,
       coalesce((SELECT sum(t.succeeded) FROM postrider.webhook_tallies AS t WHERE t.destination_id = d.id), 0)::bigint
           AS success_count,
       coalesce((SELECT sum(t.failed) FROM postrider.webhook_tallies AS t WHERE t.destination_id = d.id), 0)::bigint
           AS failure_count,
       d.inactive_reason, d.profile,
       (SELECT h.headers FROM postrider.webhook_destination_headers AS h WHERE h.destination_id = d.id) AS headers,
       d.max_attempts, d.base_delay_ms, d.delay_factor, d.max_delay_ms,
       d.jitter, d.delays_ms, d.timeout_ms, d.final_statuses, d.max_concurrency, d.keep_response_bytes, d.created_at,
       d.updated_at, d.id AS destination_id
FROM postrider.webhook_destinations AS d
WHERE d.kind = 'endpoint' AND d.deleted_at IS NULL;
COMMENT ON VIEW postrider.webhook_endpoints IS
    'Webhook endpoints. INSERT, UPDATE and DELETE work; RETURNING secret of an INSERT shows the secret for the only time. In an UPDATE, DEFAULT or NULL brings a setting back to its default.';

CREATE VIEW postrider.n8n_workflows WITH (security_invoker = true) AS
SELECT d.public_id AS id, d.workflow_id, d.name, d.url AS webhook_url, d.event_types, d.is_active,
       coalesce((SELECT sum(t.succeeded) FROM postrider.webhook_tallies AS t WHERE t.destination_id = d.id), 0)::bigint
           AS success_count,
       coalesce((SELECT sum(t.failed) FROM postrider.webhook_tallies AS t WHERE t.destination_id = d.id), 0)::bigint
           AS failure_count,
       d.user_id, d.organization_id, postrider.secret_hint(d.id) AS secret,
       d.inactive_reason, d.profile,
       (SELECT h.headers FROM postrider.webhook_destination_headers AS h WHERE h.destination_id = d.id) AS headers,
       d.max_attempts, d.base_delay_ms, d.delay_factor, d.max_delay_ms,
       d.jitter, d.delays_ms, d.timeout_ms, d.final_statuses, d.max_concurrency, d.keep_response_bytes, d.created_at,
       d.updated_at, d.id AS destination_id
FROM postrider.webhook_destinations AS d
WHERE d.kind = 'n8n' AND d.deleted_at IS NULL;
COMMENT ON VIEW postrider.n8n_workflows IS
    'n8n workflows that receive events. INSERT, UPDATE and DELETE work. With profile n8n, the default, they have a secret only when one is given, since n8n checks none by itself; with another one it is generated.';

-- Both views say the same of the columns that they share.
DO $$
DECLARE
    view_name text;
    name      text;
    meaning   text;
BEGIN
    FOREACH view_name IN ARRAY ARRAY['webhook_endpoints', 'n8n_workflows'] LOOP
        FOR name, meaning IN VALUES
            ('id', 'The id that people and programs use. May be given in an INSERT, otherwise random.'),
            ('user_id', 'Only events of this person; null for all.'),
            ('organization_id', 'Only events of this organization; null for all.'),
            ('name', 'Name for people, 1 to 200 characters.'),
            ('secret', 'The end of the signing secret, to recognise it by. Written: the secret itself; in an UPDATE the old one stops signing at once (postrider.rotate_secret lets both sign for a while).'),
            ('is_active', 'False: its deliveries are parked and sent when it is active again.'),
            ('success_count', 'Attempts that delivered. Read-only.'),
            ('failure_count', 'Attempts that failed. Read-only.'),
            ('inactive_reason', 'Why it is inactive; null when active.'),
            ('profile', 'Wire format: standard, companion, agentes, crm, fenix, bird, github, stripe, n8n, supabase, hasura, or a row of webhook_profiles.'),
            ('headers', 'Extra request headers, a JSON object of names and strings.'),
            ('max_attempts', 'Attempts of one delivery in all, the first included; default 6.'),
            ('base_delay_ms', 'Wait before the second attempt, in milliseconds, never longer than max_delay_ms; default 30000.'),
            ('delay_factor', 'Each wait is the one before times this, 1 to 100; default 2.'),
            ('max_delay_ms', 'No wait is longer than this, in milliseconds; default 3600000.'),
            ('jitter', 'Random part of each wait, as a fraction of it; default 0.1.'),
            ('delays_ms', 'The waits themselves, in milliseconds; when given, base, factor and maximum do not count.'),
            ('timeout_ms', 'Longest time of one exchange, in milliseconds; default 30000.'),
            ('final_statuses', 'Statuses that are not retried: a comma list such as 400-407,410 or 4xx; empty for the default rule.'),
            ('max_concurrency', 'Requests in flight at once from one worker; default 64.'),
            ('keep_response_bytes', 'How much of an answer''s body is kept with the attempt; default 4096.'),
            ('created_at', 'When it was created.'),
            ('updated_at', 'When it was last changed. Read-only.'),
            ('destination_id', 'Short id in the tables of the road of an event. Read-only.')
        LOOP
            EXECUTE format('COMMENT ON COLUMN postrider.%I.%I IS %L', view_name, name, meaning);
        END LOOP;
    END LOOP;
END
$$;
COMMENT ON COLUMN postrider.webhook_endpoints.url IS 'https or http URL without user information.';
COMMENT ON COLUMN postrider.webhook_endpoints.events IS 'Patterns of event types: lead.created, lead.*, or *.';
COMMENT ON COLUMN postrider.n8n_workflows.workflow_id IS 'n8n''s own id of the workflow, for people.';
COMMENT ON COLUMN postrider.n8n_workflows.webhook_url IS 'The workflow''s production URL.';
COMMENT ON COLUMN postrider.n8n_workflows.event_types IS 'Patterns of event types: lead.created, lead.*, or *.';

CREATE TRIGGER insert_endpoint INSTEAD OF INSERT ON postrider.webhook_endpoints
    FOR EACH ROW EXECUTE FUNCTION postrider.insert_destination('endpoint');
CREATE TRIGGER update_endpoint INSTEAD OF UPDATE ON postrider.webhook_endpoints
    FOR EACH ROW EXECUTE FUNCTION postrider.update_destination('endpoint');
CREATE TRIGGER delete_endpoint INSTEAD OF DELETE ON postrider.webhook_endpoints
    FOR EACH ROW EXECUTE FUNCTION postrider.delete_destination();
CREATE TRIGGER insert_workflow INSTEAD OF INSERT ON postrider.n8n_workflows
    FOR EACH ROW EXECUTE FUNCTION postrider.insert_destination('n8n');
CREATE TRIGGER update_workflow INSTEAD OF UPDATE ON postrider.n8n_workflows
    FOR EACH ROW EXECUTE FUNCTION postrider.update_destination('n8n');
CREATE TRIGGER delete_workflow INSTEAD OF DELETE ON postrider.n8n_workflows
    FOR EACH ROW EXECUTE FUNCTION postrider.delete_destination();

CREATE VIEW postrider.webhook_destination_status WITH (security_invoker = true) AS
SELECT d.public_id AS id, d.kind, d.name, d.is_active, d.inactive_reason,
       coalesce(t.succeeded, 0)::bigint AS success_count, coalesce(t.failed, 0)::bigint AS failure_count,
       coalesce(r.due, 0) AS retries_due, coalesce(r.later, 0) AS retries_later, coalesce(r.parked, 0) AS retries_parked, r.next_at AS next_retry_at,
       coalesce(l.dead, 0) AS dead_letters, l.last_dead_at, d.id AS destination_id
FROM postrider.webhook_destinations AS d
LEFT JOIN (SELECT destination_id, sum(succeeded) AS succeeded, sum(failed) AS failed
           FROM postrider.webhook_tallies GROUP BY destination_id) AS t ON t.destination_id = d.id
LEFT JOIN (SELECT destination_id, count(*) FILTER (WHERE due_at <= clock_timestamp()) AS due,
                  count(*) FILTER (WHERE due_at > clock_timestamp() AND due_at < 'infinity') AS later,
                  count(*) FILTER (WHERE due_at = 'infinity' AND ordering_key IS NULL) AS parked, nullif(min(due_at), 'infinity') AS next_at
           FROM postrider.webhook_retries GROUP BY destination_id) AS r ON r.destination_id = d.id
LEFT JOIN (SELECT destination_id, count(*) AS dead, max(dead_at) AS last_dead_at
           FROM postrider.webhook_dead_letters WHERE archived_at IS NULL GROUP BY destination_id) AS l ON l.destination_id = d.id
WHERE d.deleted_at IS NULL;
COMMENT ON VIEW postrider.webhook_destination_status IS 'One row for each endpoint and n8n workflow: its counts and what waits for it.';
COMMENT ON COLUMN postrider.webhook_destination_status.id IS 'The id that people and programs use.';
COMMENT ON COLUMN postrider.webhook_destination_status.kind IS 'endpoint or n8n.';
COMMENT ON COLUMN postrider.webhook_destination_status.name IS 'Name for people.';
COMMENT ON COLUMN postrider.webhook_destination_status.is_active IS 'False when its deliveries are parked.';
COMMENT ON COLUMN postrider.webhook_destination_status.inactive_reason IS 'Why it is inactive; null when active.';
COMMENT ON COLUMN postrider.webhook_destination_status.success_count IS 'Attempts that delivered.';
COMMENT ON COLUMN postrider.webhook_destination_status.failure_count IS 'Attempts that failed.';
COMMENT ON COLUMN postrider.webhook_destination_status.retries_due IS 'Deliveries due now.';
COMMENT ON COLUMN postrider.webhook_destination_status.retries_later IS 'Deliveries due later.';
COMMENT ON COLUMN postrider.webhook_destination_status.retries_parked IS 'Deliveries that wait until it is active again.';
COMMENT ON COLUMN postrider.webhook_destination_status.next_retry_at IS 'Earliest due time; null when nothing waits.';
COMMENT ON COLUMN postrider.webhook_destination_status.dead_letters IS 'Dead letters that are not archived.';
COMMENT ON COLUMN postrider.webhook_destination_status.last_dead_at IS 'When the latest dead letter was made; null when none.';
COMMENT ON COLUMN postrider.webhook_destination_status.destination_id IS 'Short id in the tables of the road of an event.';

DELETE FROM postrider.webhook_migrations WHERE version = 4;
