-- Undoes 0011. Lost: the list of replays and how far they are. What they scheduled is sent.
DROP FUNCTION postrider.uncounted_attempts(uuid, integer),
    postrider.replay_batch(bigint, integer),
    postrider.replay_schedule(bigint, uuid[], integer[], smallint[], integer, integer, uuid, integer, boolean),
    postrider.replay_next(bigint, integer), postrider.replay_wait(postrider.webhook_replays),
    postrider.start_replay(jsonb, bigint), postrider.count_replay(jsonb),
    postrider.replay_candidates(postrider.webhook_replays, uuid, bigint), postrider.replay_wants(jsonb, text, text, text),
    postrider.replay_plan(jsonb), postrider.check_backfill(postrider.webhook_replays), postrider.check_replay(jsonb),
    postrider.find_delivery(uuid), postrider.replay_destination(text);
UPDATE postrider.webhook_grants SET privileges = 'SELECT, INSERT, DELETE'
WHERE role_name = 'postrider_admin' AND object = 'webhook_dead_letters';
DELETE FROM postrider.webhook_grants WHERE object IN ('webhook_replays', 'uncounted_attempts', 'check_backfill', 'check_replay',
    'count_replay', 'find_delivery', 'replay_batch', 'replay_candidates', 'replay_destination', 'replay_next', 'replay_plan',
    'replay_schedule', 'replay_wait', 'replay_wants', 'start_replay');
DROP TABLE postrider.webhook_replays;
SELECT postrider.grant_roles();

DELETE FROM postrider.webhook_migrations WHERE version = 11;
