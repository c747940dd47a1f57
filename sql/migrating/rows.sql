-- What the triggers of supabase.sql and hasura.sql share. Both read this file; nobody runs it alone.
--
-- Functions that triggers call for each row have no search_path of their own, since setting one costs more than they do: what
-- calls them has fixed it.

-- Turning a row into JSON calls casts to json that belong to its columns' types, whoever made them, with the rights of the
-- function that does it. Ours run with the rights of Postrider's owner, so a cast of somebody with fewer rights is refused.
-- (Triggers of postrider.attach run as the table's owner and need no such check.)
CREATE OR REPLACE FUNCTION postrider.check_row_casts() RETURNS void
    LANGUAGE plpgsql STABLE AS $$
DECLARE
    source regtype;
BEGIN
    -- 16384 is the first oid that is not Postgres's own.
    SELECT c.castsource INTO source FROM pg_cast AS c JOIN pg_proc AS p ON p.oid = c.castfunc
    WHERE c.castsource >= 16384 AND c.casttarget IN ('json'::regtype, 'jsonb'::regtype)
      AND NOT pg_has_role(p.proowner, current_user, 'USAGE')
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the cast of % to json belongs to somebody who has not the rights of %', source, current_user
            USING ERRCODE = 'insufficient_privilege', HINT = 'Use postrider.attach, which writes events as the owner of the table.';
    END IF;
END
$$;
COMMENT ON FUNCTION postrider.check_row_casts() IS
    'Part of http_request and hasura_event: refuses to turn rows into JSON while a cast to json could borrow the rights of Postrider''s owner.';

CREATE OR REPLACE FUNCTION postrider.event_word(name text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT regexp_replace(left(name, 60) COLLATE "C", '[^A-Za-z0-9_-]', '_', 'g')
$$;
COMMENT ON FUNCTION postrider.event_word(text) IS 'A name as one word of an event type: what may not stand there becomes _.';

CREATE OR REPLACE FUNCTION postrider.hook_id(origin text) RETURNS uuid
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT encode(substr(sha256(convert_to(origin, 'UTF8')), 1, 16), 'hex')::uuid
$$;
COMMENT ON FUNCTION postrider.hook_id(text) IS 'The id of the endpoint of a hook, the same for the same origin.';

REVOKE ALL ON FUNCTION postrider.check_row_casts(), postrider.event_word(text), postrider.hook_id(text) FROM PUBLIC;
