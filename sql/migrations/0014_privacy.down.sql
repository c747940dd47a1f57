-- Undoes 0014. Lost: the audit log, which persons were erased, and which types are sealed. What was erased stays erased;
-- erasures that are not finished are not finished any more: wait for them first. What was sealed stays sealed, and a program
-- of before cannot open it.
DO $$
DECLARE
    target text;
    event  text;
BEGIN
    FOREACH target IN ARRAY ARRAY['destinations', 'secrets', 'attachments', 'denied_columns', 'retention', 'sealed_types', 'profiles', 'settings',
        'transforms'] LOOP
        FOREACH event IN ARRAY ARRAY['insert', 'update', 'delete', 'truncate'] LOOP
            EXECUTE format('DROP TRIGGER %I ON postrider.%I', 'webhook_audited_' || event, 'webhook_' || target);
        END LOOP;
    END LOOP;
END
$$;
DROP TRIGGER webhook_audited_insert ON postrider.webhook_replays;
DROP FUNCTION postrider.forget_user(text, text, boolean), postrider.erase_batch(integer, integer), postrider.is_over(xid8),
    postrider.erase_events(uuid[], text), postrider.prune_audit_log(integer),
    postrider.record_change(text, text, text, jsonb), postrider.webhook_audited(), postrider.audited_object(text, jsonb),
    postrider.audited_values(text, jsonb), postrider.redacted(jsonb, boolean);
DROP FUNCTION postrider.seal_payloads(text, uuid, text, uuid[], text[]), postrider.payloads_to_seal(text, uuid, integer),
    postrider.types_to_seal(), postrider.unseal_type(text), postrider.seal_type(text), postrider.is_sealed(jsonb);
DROP TABLE postrider.webhook_payload_keys, postrider.webhook_sealed_types, postrider.webhook_erasures, postrider.webhook_audit_log;
DROP FUNCTION postrider.webhook_audit_guard();
ALTER TABLE postrider.webhook_retention DROP COLUMN keep_audit;
UPDATE postrider.webhook_grants SET privileges = 'SELECT, UPDATE (keep_events, keep_attempts, keep_payloads)'
WHERE role_name = 'postrider_admin' AND object = 'webhook_retention';
DELETE FROM postrider.webhook_grants WHERE object IN ('webhook_audit_log', 'webhook_erasures', 'forget_user', 'erase_batch',
    'record_change', 'prune_audit_log', 'webhook_payload_keys', 'webhook_sealed_types', 'is_sealed', 'seal_type', 'unseal_type',
    'pattern_fault', 'types_to_seal', 'payloads_to_seal', 'seal_payloads');
SELECT postrider.grant_roles();

DELETE FROM postrider.webhook_migrations WHERE version = 14;
