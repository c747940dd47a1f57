-- Undoes 0010. Stop the workers first. Destinations keep the options order and rate, which nothing reads any more; what
-- waited for its turn is due at once, in no order.
UPDATE postrider.webhook_retries SET due_at = clock_timestamp(), ordering_key = NULL WHERE ordering_key IS NOT NULL;
DROP TRIGGER webhook_order_switched ON postrider.webhook_destinations;
DROP FUNCTION postrider.webhook_order_switched();
DROP VIEW postrider.webhook_key_status;
DROP FUNCTION postrider.skip_key(uuid, text), postrider.sweep_keys(integer), postrider.sweep_retries(integer), postrider.release_keys(integer[], text[], uuid[]),
    postrider.order_key(text), postrider.dead_letter_marks(uuid, integer);
DROP TABLE postrider.webhook_keys, postrider.webhook_rates;
DROP INDEX postrider.webhook_retries_order_idx, postrider.webhook_destinations_ordered_idx, postrider.webhook_secrets_expiry_idx;

DO $$
DECLARE
    target text;
BEGIN
    FOREACH target IN ARRAY ARRAY['webhook_destinations', 'webhook_secrets'] LOOP
        EXECUTE format('DROP TRIGGER webhook_routing_inserted ON postrider.%I', target);
        EXECUTE format('DROP TRIGGER webhook_routing_updated ON postrider.%I', target);
        EXECUTE format('DROP TRIGGER webhook_routing_deleted ON postrider.%I', target);
        EXECUTE format('DROP TRIGGER webhook_routing_truncated ON postrider.%I', target);
        EXECUTE format('CREATE TRIGGER webhook_routing_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON postrider.%I
                        FOR EACH STATEMENT EXECUTE FUNCTION postrider.webhook_routing_changed()', target);
    END LOOP;
END
$$;
CREATE OR REPLACE FUNCTION postrider.webhook_routing_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF current_setting('postrider.only_seals', true) = 'on' THEN
        RETURN NULL;
    END IF;
    UPDATE postrider.webhook_routing SET version = version + 1;
    PERFORM pg_notify('postrider_routing', '');
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION postrider.webhook_routing_changed() IS
    'Trigger: tells workers to load the destinations again, unless the transaction only seals secrets.';
DROP TABLE postrider.webhook_routing_changes;

UPDATE postrider.webhook_grants SET privileges = 'SELECT, INSERT, DELETE, UPDATE (due_at)'
WHERE role_name = 'postrider_worker' AND object = 'webhook_retries';
UPDATE postrider.webhook_grants SET privileges = 'SELECT, DELETE'
WHERE role_name = 'postrider_admin' AND object = 'webhook_dead_letters';
DELETE FROM postrider.webhook_grants WHERE object IN ('webhook_keys', 'webhook_rates', 'webhook_routing_changes',
    'webhook_key_status', 'order_key', 'release_keys', 'sweep_keys', 'sweep_retries', 'skip_key', 'dead_letter_marks') OR role_name = 'postrider_worker' AND object = 'matches';
SELECT postrider.grant_roles();

DELETE FROM postrider.webhook_migrations WHERE version = 10;
