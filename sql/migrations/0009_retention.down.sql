-- Undoes 0009. Lost: how long things are kept, and of which events attempts are gone. Weeks that are gone stay gone; the partition "earlier" stays.
DROP FUNCTION postrider.fold_partitions(text), postrider.remove_payloads(text, integer),
    postrider.thin_partition(text, integer), postrider.prune_batch(text, text, integer), postrider.begin_pass(text, text),
    postrider.empty_partition(text), postrider.remember_removal(text, uuid), postrider.expired_partition(text, text), postrider.begin_upkeep(),
    postrider.retention_plan(), postrider.count_rows(text), postrider.has_rows(text), postrider.expiry(text),
    postrider.is_removed(jsonb), postrider.removed_payload(), postrider.unfinished_events(uuid, uuid),
    postrider.partitions(text);
UPDATE postrider.webhook_grants SET privileges = 'SELECT'
WHERE role_name = 'postrider_admin' AND object = 'webhook_event_log';
DELETE FROM postrider.webhook_grants WHERE object IN ('webhook_retention', 'webhook_retention_progress', 'retention_plan',
    'empty_partition', 'thin_partition', 'remove_payloads', 'fold_partitions', 'is_removed', 'removed_payload');
DROP TABLE postrider.webhook_retention_progress, postrider.webhook_retention;
SELECT postrider.grant_roles();

DELETE FROM postrider.webhook_migrations WHERE version = 9;
