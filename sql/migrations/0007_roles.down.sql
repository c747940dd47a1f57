-- Undoes 0007. Everybody who has the schema may call its functions again, and no row is hidden. Roles that have members, or
-- that another database of this server uses, stay.
DROP POLICY writers ON postrider.webhook_event_log;
DROP POLICY own_tables_inserted ON postrider.webhook_attachments;
DROP POLICY own_tables_updated ON postrider.webhook_attachments;
DO $$
DECLARE
    item record;
BEGIN
    FOR item IN SELECT p.polname, p.polrelid::regclass AS target FROM pg_policy AS p
                JOIN pg_class AS c ON c.oid = p.polrelid
                WHERE c.relnamespace = 'postrider'::regnamespace
                  AND (p.polname = 'owner' OR p.polname IN (SELECT g.role_name FROM postrider.webhook_grants AS g)) LOOP
        EXECUTE format('DROP POLICY %I ON %s', item.polname, item.target);
    END LOOP;
    FOR item IN SELECT c.oid::regclass AS target FROM pg_class AS c
                WHERE c.relnamespace = 'postrider'::regnamespace AND c.relforcerowsecurity LOOP
        EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY', item.target);
    END LOOP;
    FOR item IN SELECT DISTINCT g.role_name FROM postrider.webhook_grants AS g ORDER BY 1 LOOP
        CONTINUE WHEN to_regrole(item.role_name) IS NULL;
        EXECUTE format('REVOKE ALL ON SCHEMA postrider, postrider_attached FROM %I', item.role_name);
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA postrider FROM %I', item.role_name);
        EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA postrider FROM %I', item.role_name);
        IF EXISTS (SELECT FROM pg_auth_members AS m WHERE m.roleid = to_regrole(item.role_name)
                   -- Since Postgres 16 whoever makes a role without being a superuser is a member of it, one that cannot use it.
                   AND coalesce((to_jsonb(m) ->> 'inherit_option')::boolean OR (to_jsonb(m) ->> 'set_option')::boolean, true)) THEN
            RAISE NOTICE 'role % stays: it has members', item.role_name;
            CONTINUE;
        END IF;
        BEGIN
            EXECUTE format('DROP ROLE %I', item.role_name);
        EXCEPTION WHEN OTHERS THEN
            -- Used elsewhere, not ours to drop, or dropped by somebody else just now: all the same to this database.
            RAISE NOTICE 'role % stays: %', item.role_name, SQLERRM;
        END;
    END LOOP;
END
$$;
DROP FUNCTION postrider.create_roles(), postrider.role_setup(), postrider.grant_roles(),
    postrider.shown_columns(regclass, text[]),
    postrider.add_policy(regclass, text, name, text, text), postrider.add_grants(text, text, text, text[]);
DROP TABLE postrider.webhook_grants;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA postrider TO PUBLIC;

DELETE FROM postrider.webhook_migrations WHERE version = 7;
