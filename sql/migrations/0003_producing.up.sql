-- Postrider 0003: producing events. emit for applications; attach, detach and refresh_attachments for tables.
--
-- An attachment is a trigger function made for one table, with its expressions compiled in, and statement-level triggers
-- with transition tables: one INSERT … SELECT for all rows of a statement, so an UPDATE of 10,000 rows is one trigger
-- call and about 157 queue rows.
--
-- Whose rights count:
-- * emit runs as its owner: applications need USAGE on the schema and nothing on its tables.
-- * attach runs as its caller, who must own the table or be a member of its owner. The trigger function is SECURITY
--   DEFINER and belongs to the owner of the table, whoever called: so those who write the table need no rights here, and
--   the expressions, and the casts of the table's own types, get no more rights than the table's owner has anyway. If
--   it ran as Postrider's owner, an expression could read every secret; if as whoever rebuilt it last, one of the owner's
--   could use the rights of an administrator. The owner needs the rights of a producer (role postrider_producer of 0007);
--   attach says so when they are missing.
-- * The functions stand in a schema of their own, because CREATE on postrider would let others overload its functions.
--
-- Denied columns are left out when the trigger function is written, so they cost nothing when it runs.

CREATE SCHEMA postrider_attached;
COMMENT ON SCHEMA postrider_attached IS 'Trigger functions that postrider.attach makes; nothing else belongs here.';

-- emit ----------------------------------------------------------------------------------------------------------------

-- The faults are checked here although the table would refuse them too: a violated constraint prints the whole row,
-- payload included, to the server's log.
--
-- STABLE, though it looks nothing up: an immutable function of a constant is called when the plan is made, so an
-- attachment whose event type is null for one operation would fail for that operation instead of making no event.
CREATE FUNCTION postrider.checked_event_type(event_type text, origin text) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    IF event_type ~ '^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$' AND length(event_type) <= 128 THEN
        RETURN event_type;
    END IF;
    RAISE EXCEPTION 'not an event type: % (%)', coalesce(quote_literal(event_type), 'null'), origin
        USING ERRCODE = 'invalid_parameter_value',
              HINT = 'Write dotted words of letters, digits, _ and -, such as lead.created, at most 128 characters.';
END
$$;
COMMENT ON FUNCTION postrider.checked_event_type(text, text) IS
    'Gives the event type back, or raises an error that names it and where it came from.';

CREATE FUNCTION postrider.emit(
    event_type      text,
    data            jsonb,
    organization_id text    DEFAULT NULL,
    user_id         text    DEFAULT NULL,
    record_id       text    DEFAULT NULL,
    ordering_key    text    DEFAULT NULL,
    priority        integer DEFAULT 1,
    event_source    text    DEFAULT 'api',
    table_name      text    DEFAULT NULL
) RETURNS uuid LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    new_id uuid := postrider.next_event_id();
BEGIN
    -- One condition for all that is well: each is an expression that every transaction sets up anew.
    IF event_type ~ '^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$' AND length(event_type) <= 128 AND data IS NOT NULL
       AND priority BETWEEN 0 AND 2 THEN
        INSERT INTO postrider.webhook_event_log (id, event_type, event_source, table_name, record_id, user_id,
                                                 organization_id, ordering_key, priority, data)
        VALUES (new_id, event_type, coalesce(event_source, 'api'), table_name, record_id, user_id, organization_id,
                ordering_key, priority, data);
        RETURN new_id;
    END IF;
    PERFORM postrider.checked_event_type(event_type, 'postrider.emit');
    IF data IS NULL THEN
        RAISE EXCEPTION 'an event needs data (postrider.emit)'
            USING ERRCODE = 'null_value_not_allowed', HINT = 'An event without data is emitted with ''{}''.';
    END IF;
    RAISE EXCEPTION 'not a priority: % (postrider.emit)', coalesce(priority::text, 'null')
        USING ERRCODE = 'invalid_parameter_value', HINT = 'Write 0 for high, 1 for normal, 2 for low.';
END
$$;
COMMENT ON FUNCTION postrider.emit(text, jsonb, text, text, text, text, integer, text, text) IS
    'Writes one event in the caller''s transaction and gives its id. Priority: 0 high, 1 normal (default), 2 low. For many events at once, INSERT … SELECT into postrider.webhook_events.';

-- Attachments ---------------------------------------------------------------------------------------------------------

CREATE TABLE postrider.webhook_attachments (
    id                    integer     GENERATED ALWAYS AS IDENTITY,
    target                regclass    NOT NULL,
    name                  text        NOT NULL,
    table_name            text        NOT NULL,
    operations            text[]      NOT NULL,
    event_type            text,
    event_type_expression text,
    condition             text,
    columns               text[],
    except_columns        text[],
    except_places         text[],
    sent_columns          text[],
    organization_id       text,
    user_id               text,
    record_id             text,
    ordering_key          text,
    priority              text,
    event_source          text        NOT NULL,
    include_old           boolean     NOT NULL,
    created_by            text        NOT NULL DEFAULT session_user,
    created_at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT webhook_attachments_pkey PRIMARY KEY (id),
    CONSTRAINT one_attachment_of_a_name_per_table UNIQUE (target, name),
    CONSTRAINT event_type_is_constant_or_expression CHECK (num_nonnulls(event_type, event_type_expression) = 1),
    CONSTRAINT columns_are_allowed_or_denied CHECK (num_nonnulls(columns, except_columns) <= 1),
    -- Expressions are pasted into statements: none may end one and begin another, whoever wrote the row. The other settings
    -- may name a column, whose name may hold anything; try_attachment runs no second statement of theirs either.
    CONSTRAINT expressions_hold_no_semicolon CHECK (strpos(concat_ws(' ', event_type_expression, condition), ';') = 0)
);
COMMENT ON TABLE postrider.webhook_attachments IS
    'Tables whose changes become events. Written by attach, detach and refresh_attachments; changing a row here changes no trigger.';
COMMENT ON COLUMN postrider.webhook_attachments.id IS 'Names the triggers and their function: webhook_<id>.';
COMMENT ON COLUMN postrider.webhook_attachments.target IS 'The table; a bare number when it was dropped.';
COMMENT ON COLUMN postrider.webhook_attachments.name IS 'Name of the attachment, unique for its table.';
COMMENT ON COLUMN postrider.webhook_attachments.table_name IS 'What events carry as table_name.';
COMMENT ON COLUMN postrider.webhook_attachments.operations IS 'insert, update, delete, truncate.';
COMMENT ON COLUMN postrider.webhook_attachments.event_type IS 'Event type, when it is constant.';
COMMENT ON COLUMN postrider.webhook_attachments.event_type_expression IS 'SQL expression of the event type; no event when it gives null.';
COMMENT ON COLUMN postrider.webhook_attachments.condition IS 'SQL condition; no event unless it is true. Null for every row.';
COMMENT ON COLUMN postrider.webhook_attachments.columns IS 'Columns to send; null for all but except_columns.';
COMMENT ON COLUMN postrider.webhook_attachments.except_columns IS 'Columns not to send.';
COMMENT ON COLUMN postrider.webhook_attachments.except_places IS
    'Where these stand in the catalog, oid of the table and number of the column: found by it under another name. Means nothing after a restore.';
COMMENT ON COLUMN postrider.webhook_attachments.sent_columns IS 'Columns that the trigger sends, worked out by attach; null for whatever columns the table has.';
COMMENT ON COLUMN postrider.webhook_attachments.organization_id IS 'Column or SQL expression that gives the organization; null for none.';
COMMENT ON COLUMN postrider.webhook_attachments.user_id IS 'Column or SQL expression that gives the person; null for none.';
COMMENT ON COLUMN postrider.webhook_attachments.record_id IS 'Column or SQL expression that gives the record id; null for the primary key.';
COMMENT ON COLUMN postrider.webhook_attachments.ordering_key IS 'Column or SQL expression that gives the ordering key; null for none.';
COMMENT ON COLUMN postrider.webhook_attachments.priority IS 'Column or SQL expression that gives the priority, or high, normal, low; null for normal.';
COMMENT ON COLUMN postrider.webhook_attachments.event_source IS 'What events carry as event_source.';
COMMENT ON COLUMN postrider.webhook_attachments.include_old IS 'True: data is {"old": …, "new": …}.';
COMMENT ON COLUMN postrider.webhook_attachments.created_by IS 'Who attached it first.';
COMMENT ON COLUMN postrider.webhook_attachments.created_at IS 'When it was attached first.';
COMMENT ON COLUMN postrider.webhook_attachments.updated_at IS 'When it was attached or refreshed last.';

-- ROWS: tables have few relatives. With the default of 1,000 webhook_attachment_check counts as so dear that its plan is
-- compiled by JIT, which took 5 s where the answer takes 30 ms (measured, one attachment).
CREATE FUNCTION postrider.with_descendants(target regclass) RETURNS SETOF regclass
    LANGUAGE sql STABLE STRICT ROWS 5 SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE family AS (
        SELECT target::oid AS relation
        UNION
        SELECT i.inhrelid FROM family AS f JOIN pg_catalog.pg_inherits AS i ON i.inhparent = f.relation
    )
    SELECT relation::regclass FROM family
$$;
COMMENT ON FUNCTION postrider.with_descendants(regclass) IS 'A table, its partitions, and tables that inherit from it, at every level.';

CREATE FUNCTION postrider.with_ancestors(target regclass) RETURNS SETOF regclass
    LANGUAGE sql STABLE STRICT ROWS 5 SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE family AS (
        SELECT target::oid AS relation
        UNION
        SELECT i.inhparent FROM family AS f JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = f.relation
    )
    SELECT relation::regclass FROM family
$$;
COMMENT ON FUNCTION postrider.with_ancestors(regclass) IS 'A table, those of which it is a partition, and those from which it inherits, at every level.';

-- This and those of what is denied have a path of their own: the view of what is wrong calls them with that of whoever looks.
CREATE FUNCTION postrider.column_names(target regclass) RETURNS text[]
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(attname::text ORDER BY attnum), '{}')
    FROM pg_catalog.pg_attribute WHERE attrelid = target AND attnum > 0 AND NOT attisdropped
$$;
COMMENT ON FUNCTION postrider.column_names(regclass) IS 'Names of a table''s columns, in order.';

-- Only the type json can hold \u0000 (jsonb and text refuse it on the way in), directly or within arrays, domains and
-- composite types.
CREATE FUNCTION postrider.json_columns(target regclass) RETURNS text[] LANGUAGE sql STABLE STRICT AS $$
    WITH RECURSIVE inner_types AS (
        SELECT attname::text AS column_name, atttypid AS type FROM pg_catalog.pg_attribute
        WHERE attrelid = target AND attnum > 0 AND NOT attisdropped
        UNION
        SELECT i.column_name, x.type
        FROM inner_types AS i
        JOIN pg_catalog.pg_type AS t ON t.oid = i.type
        CROSS JOIN LATERAL (
            SELECT t.typbasetype WHERE t.typbasetype <> 0
            UNION ALL SELECT t.typelem WHERE t.typelem <> 0
            UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range AS r WHERE r.rngtypid = t.oid
            UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute AS a
                      WHERE a.attrelid = t.typrelid AND t.typrelid <> 0 AND a.attnum > 0 AND NOT a.attisdropped
        ) AS x (type)
    )
    SELECT coalesce(array_agg(DISTINCT column_name), '{}') FROM inner_types WHERE type = 'json'::regtype
$$;
COMMENT ON FUNCTION postrider.json_columns(regclass) IS 'Columns whose type is or contains json (not jsonb).';

-- Denied columns --------------------------------------------------------------------------------------------------------

CREATE TABLE postrider.webhook_denied_columns (
    target      regclass,
    column_name text        NOT NULL,
    path        text[]      NOT NULL DEFAULT '{}',
    place       text,
    created_by  text        NOT NULL DEFAULT session_user,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT denied_once UNIQUE NULLS NOT DISTINCT (target, column_name, path),
    CONSTRAINT column_has_a_name CHECK (column_name <> ''),
    CONSTRAINT path_is_of_names CHECK (array_position(path, NULL) IS NULL)
);
-- No primary key, because target may be null: a publication of all tables would have Postgres refuse allow_column.
ALTER TABLE postrider.webhook_denied_columns REPLICA IDENTITY FULL;
COMMENT ON TABLE postrider.webhook_denied_columns IS
    'What attachments never send. Written by deny_column and allow_column, which rebuild attachments; a row written here by hand counts from the next attach or refresh_attachments on.';
COMMENT ON COLUMN postrider.webhook_denied_columns.target IS 'The table, its partitions and the tables that inherit from it included; null for every table.';
COMMENT ON COLUMN postrider.webhook_denied_columns.column_name IS 'The column.';
COMMENT ON COLUMN postrider.webhook_denied_columns.path IS 'Names that lead to a member of a JSON or composite column; empty for the whole column.';
COMMENT ON COLUMN postrider.webhook_denied_columns.place IS
    'Where the column stands in the catalog, oid of the table and number of the column: under another name it stays denied. Null for every table; means nothing after a restore.';
COMMENT ON COLUMN postrider.webhook_denied_columns.created_by IS 'Who denied it.';
COMMENT ON COLUMN postrider.webhook_denied_columns.created_at IS 'When it was denied.';

-- A column that was renamed is found by its place. The oid in it differs after a restore, where numbers may be those of other
-- columns. Partitions and inheriting tables have the names of their table. What is denied for one of them alone is kept by its
-- own attachments only: those of a table above it send the rows of all, so there it is refused.
CREATE FUNCTION postrider.denied_columns(target regclass) RETURNS text[]
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(DISTINCT n.name), '{}') FROM postrider.webhook_denied_columns AS d
    CROSS JOIN LATERAL (
        SELECT d.column_name UNION ALL
        SELECT c.attname::text FROM pg_catalog.pg_attribute AS c
        WHERE c.attrelid = d.target AND NOT c.attisdropped AND format('%s.%s', c.attrelid, c.attnum) = d.place
    ) AS n (name)
    WHERE d.path = '{}' AND (d.target IS NULL OR d.target IN (SELECT postrider.with_ancestors(denied_columns.target)))
$$;
COMMENT ON FUNCTION postrider.denied_columns(regclass) IS 'Names that no attachment of this table sends, whether it has such columns or not.';

CREATE FUNCTION postrider.denied_paths(target regclass) RETURNS SETOF text[]
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT DISTINCT n.name || d.path FROM postrider.webhook_denied_columns AS d
    CROSS JOIN LATERAL (
        SELECT d.column_name UNION ALL
        SELECT c.attname::text FROM pg_catalog.pg_attribute AS c
        WHERE c.attrelid = d.target AND NOT c.attisdropped AND format('%s.%s', c.attrelid, c.attnum) = d.place
    ) AS n (name)
    WHERE d.path <> '{}' AND (d.target IS NULL OR d.target IN (SELECT postrider.with_ancestors(denied_paths.target)))
    ORDER BY 1
$$;
COMMENT ON FUNCTION postrider.denied_paths(regclass) IS 'Members of columns that no attachment of this table sends: the column, then the names that lead to them.';

-- By the names that the columns have now, on both sides: by those of when they were denied, a denial here of what has the old
-- name of a column would pass for that of the column.
CREATE FUNCTION postrider.denied_below(target regclass) RETURNS TABLE (relation regclass, column_name text, path text[])
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT d.target, n.name, d.path FROM postrider.webhook_denied_columns AS d
    CROSS JOIN LATERAL (
        SELECT coalesce((SELECT c.attname::text FROM pg_catalog.pg_attribute AS c
                         WHERE c.attrelid = d.target AND NOT c.attisdropped AND format('%s.%s', c.attrelid, c.attnum) = d.place),
                        d.column_name)
    ) AS n (name)
    WHERE d.target IN (SELECT postrider.with_descendants(denied_below.target))
      AND n.name <> ALL (postrider.denied_columns(denied_below.target))
      AND (n.name || d.path) NOT IN (SELECT postrider.denied_paths(denied_below.target))
    ORDER BY 1, 2, 3
$$;
COMMENT ON FUNCTION postrider.denied_below(regclass) IS
    'What is denied for partitions and inheriting tables of a table, and not for the table, whose attachments send the rows of all.';

-- The operator #- raises an error where it meets an array: a path must not fail the statement of a producer.
CREATE FUNCTION postrider.without_path(document jsonb, path text[]) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF jsonb_typeof(document) = 'array' THEN
        RETURN (SELECT coalesce(jsonb_agg(postrider.without_path(e.value, path) ORDER BY e.place), '[]')
                FROM jsonb_array_elements(document) WITH ORDINALITY AS e (value, place));
    ELSIF jsonb_typeof(document) <> 'object' OR NOT document ? path[1] THEN
        RETURN document;
    ELSIF cardinality(path) = 1 THEN
        RETURN document - path[1];
    END IF;
    RETURN jsonb_set(document, path[1:1], postrider.without_path(document -> path[1], path[2:]));
END
$$;
COMMENT ON FUNCTION postrider.without_path(jsonb, text[]) IS
    'A document without the member that a path leads to, in each element of the arrays on the way. Called by triggers of tables with a denied path alone.';

-- Attachments: writing the trigger function -----------------------------------------------------------------------------

-- A setting names a column or is an expression; a column comes from the row that the operation leaves or removes.
CREATE FUNCTION postrider.attachment_value(a postrider.webhook_attachments, operation text, setting text)
    RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN setting IS NULL OR (operation = 'truncate' AND setting = ANY (postrider.column_names(a.target))) THEN 'NULL'
        WHEN setting = ANY (postrider.column_names(a.target))
            THEN format('%s.%I', CASE operation WHEN 'delete' THEN 'old' ELSE 'new' END, setting)
        -- The line break ends a comment that the expression may end in.
        ELSE format(E'(%s\n)', setting)
    END
$$;
COMMENT ON FUNCTION postrider.attachment_value(postrider.webhook_attachments, text, text) IS
    'Part of attach: SQL for a setting that is a column name or an expression.';

CREATE FUNCTION postrider.attachment_key(a postrider.webhook_attachments, operation text) RETURNS text
    LANGUAGE sql STABLE AS $$
    SELECT coalesce(string_agg(format('%s.%I::text', CASE operation WHEN 'delete' THEN 'old' ELSE 'new' END, c.attname),
                               ' || '':'' || ' ORDER BY k.position), 'NULL')
    FROM pg_catalog.pg_index AS i
    CROSS JOIN LATERAL unnest(i.indkey::smallint[]) WITH ORDINALITY AS k (attnum, position)
    JOIN pg_catalog.pg_attribute AS c ON c.attrelid = i.indrelid AND c.attnum = k.attnum
    WHERE i.indrelid = a.target AND i.indisprimary AND operation <> 'truncate' AND k.position <= i.indnkeyatts
$$;
COMMENT ON FUNCTION postrider.attachment_key(postrider.webhook_attachments, text) IS
    'Part of attach: SQL for the primary key as text, columns joined by a colon; NULL when there is none.';

CREATE FUNCTION postrider.attachment_uses_old(a postrider.webhook_attachments) RETURNS boolean
    LANGUAGE sql STABLE AS $$
    -- The word in a string or a comment counts too: pairing for nothing costs a microsecond a row and harms nobody.
    SELECT a.include_old OR concat_ws(' ', a.event_type_expression, a.condition, a.organization_id, a.user_id,
                                      a.record_id, a.ordering_key, a.priority) ~* '\mold\M'
$$;
COMMENT ON FUNCTION postrider.attachment_uses_old(postrider.webhook_attachments) IS
    'Part of attach: must an UPDATE pair old with new rows?';

-- A name that no column of the table has, for what the function itself adds to the rows.
CREATE FUNCTION postrider.attachment_marker(a postrider.webhook_attachments) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT 'postrider' || repeat('_', coalesce(max(length(substring(c FROM '^postrider(_*)'))) + 1, 0))
    FROM unnest(postrider.column_names(a.target)) AS c
$$;
COMMENT ON FUNCTION postrider.attachment_marker(postrider.webhook_attachments) IS
    'Part of attach: beginning of identifiers that collide with no column of the table.';

-- The FROM clause, in which NEW and OLD have the columns of the table. A row that the operation does not have is one of
-- nulls, which the planner folds away. It stands there only when an expression names it: its type is written by the name of
-- the table, so a table that is renamed fails the statements of its producers until it is refreshed.
-- UPDATE: both transition tables are filled side by side, also when a row moves to another partition, so the nth old row
-- belongs to the nth new one. The primary key would not do: it may be what changed.
CREATE FUNCTION postrider.attachment_rows(a postrider.webhook_attachments, operation text) RETURNS text
    LANGUAGE plpgsql STABLE AS $$
DECLARE
    marker  text := postrider.attachment_marker(a);
    table_ref text := (SELECT format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class AS c
                       JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = a.target);
    no_row  text := format('(SELECT (NULL::%s).*)', table_ref);
    old_row text := CASE WHEN postrider.attachment_uses_old(a) THEN format(' CROSS JOIN %s AS old', no_row) ELSE '' END;
    new_row text := CASE WHEN concat_ws(' ', a.event_type_expression, a.condition, a.organization_id, a.user_id, a.record_id,
                                        a.ordering_key, a.priority) ~* '\mnew\M'
                         THEN format(' CROSS JOIN %s AS new', no_row) ELSE '' END;
    result  text;
    side    text;
BEGIN
    result := CASE operation
        WHEN 'insert' THEN 'new_rows AS new' || old_row
        WHEN 'delete' THEN 'old_rows AS old' || new_row
        WHEN 'truncate' THEN format('(SELECT) AS %I', marker) || new_row || old_row
        WHEN 'update' THEN CASE WHEN old_row = '' THEN 'new_rows AS new'
            ELSE format('(SELECT row_number() OVER () AS %1$I, r.* FROM new_rows AS r) AS new'
                        ' JOIN (SELECT row_number() OVER () AS %1$I, r.* FROM old_rows AS r) AS old'
                        ' ON new.%1$I = old.%1$I', marker || ' row') END
    END;
    -- Columns that are not sent are never converted; the planner merges this with the row itself.
    IF cardinality(a.sent_columns) > 0 THEN
        FOREACH side IN ARRAY ARRAY['new', 'old'] LOOP
            IF (side = 'new' AND operation IN ('insert', 'update'))
               OR (side = 'old' AND (operation = 'delete' OR (operation = 'update' AND a.include_old))) THEN
                result := result || format(' CROSS JOIN LATERAL (SELECT %s) AS %I',
                    (SELECT string_agg(format('%s.%I', side, c), ', ') FROM unnest(a.sent_columns) AS c),
                    marker || ' ' || side);
            END IF;
        END LOOP;
    END IF;
    RETURN result;
END
$$;
COMMENT ON FUNCTION postrider.attachment_rows(postrider.webhook_attachments, text) IS
    'Part of attach: the FROM clause of one operation.';

CREATE FUNCTION postrider.attachment_document(a postrider.webhook_attachments, operation text, side text) RETURNS text
    LANGUAGE sql STABLE AS $$
    SELECT repeat('postrider.without_path(', denied.paths) || CASE
        WHEN operation = 'truncate' OR (side = 'old' AND operation = 'insert') OR (side = 'new' AND operation = 'delete')
            THEN 'NULL::jsonb'
        WHEN a.sent_columns = '{}' THEN '''{}''::jsonb'
        WHEN a.sent_columns IS NOT NULL THEN format('to_jsonb(%I.*)', postrider.attachment_marker(a) || ' ' || side)
        WHEN operation = 'update' AND postrider.attachment_uses_old(a)
            THEN format('to_jsonb(%s.*) - %L', side, postrider.attachment_marker(a) || ' row')
        ELSE format('to_jsonb(%s.*)', side)
    END || denied.endings
    FROM (SELECT count(*)::integer AS paths, coalesce(string_agg(format(', %L::text[])', d.path), ''), '') AS endings
          FROM postrider.denied_paths(a.target) AS d (path)
          WHERE operation <> 'truncate' AND (a.sent_columns IS NULL OR d.path[1] = ANY (a.sent_columns))) AS denied
$$;
COMMENT ON FUNCTION postrider.attachment_document(postrider.webhook_attachments, text, text) IS
    'Part of attach: SQL that makes the JSON of the new or the old row.';

-- A constant that is cast to a domain is checked whenever the statement runs. As an element of an array of the domain it is
-- checked when the statement is read, and the planner takes it for a constant of the domain: 11,000 of 290,000 instructions
-- less for an insert of one row.
CREATE FUNCTION postrider.attachment_constant(value text, domain_name text) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT format('(%L::postrider.%I[])[1]', ARRAY[value]::text, domain_name)
$$;
COMMENT ON FUNCTION postrider.attachment_constant(text, text) IS
    'Part of attach: SQL for a constant of a domain of this schema, which no run of the statement checks again.';

CREATE FUNCTION postrider.attachment_select(a postrider.webhook_attachments, operation text)
    RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format(E'SELECT %s, %L, %L,\n               %s, %s, %s, %s,\n               %s, %s\n'
                  '        FROM %s%s',
        CASE WHEN a.event_type_expression IS NULL THEN postrider.attachment_constant(a.event_type, 'event_type')
             ELSE format(E'postrider.checked_event_type((%s\n)::text, %L)', a.event_type_expression,
                         format('attachment %s of %s', a.name, a.table_name)) END,
        a.event_source, a.table_name,
        CASE WHEN a.record_id IS NULL THEN postrider.attachment_key(a, operation)
             ELSE postrider.attachment_value(a, operation, a.record_id) || '::text' END,
        postrider.attachment_value(a, operation, a.user_id) || '::text',
        postrider.attachment_value(a, operation, a.organization_id) || '::text',
        postrider.attachment_value(a, operation, a.ordering_key) || '::text',
        -- Out of range is brought into range: a priority is no reason to fail the statement of a producer.
        CASE coalesce(a.priority, 'normal')
            WHEN 'high' THEN postrider.attachment_constant('0', 'event_priority')
            WHEN 'normal' THEN postrider.attachment_constant('1', 'event_priority')
            WHEN 'low' THEN postrider.attachment_constant('2', 'event_priority')
            ELSE format('greatest(0, least(2, coalesce(%s::integer, 1)))',
                        postrider.attachment_value(a, operation, a.priority)) END,
        CASE WHEN a.include_old THEN format('jsonb_build_object(''old'', %s, ''new'', %s)',
                 postrider.attachment_document(a, operation, 'old'), postrider.attachment_document(a, operation, 'new'))
             WHEN operation = 'truncate' THEN format('jsonb_build_object(''truncated'', %L)', a.table_name)
             ELSE postrider.attachment_document(a, operation, CASE operation WHEN 'delete' THEN 'old' ELSE 'new' END) END,
        postrider.attachment_rows(a, operation),
        CASE WHEN operation = 'truncate' THEN ''
             ELSE coalesce(E'\n        WHERE ' || nullif(concat_ws(' AND ',
                 '(' || a.condition || E'\n)', '(' || a.event_type_expression || E'\n) IS NOT NULL'), ''), '') END)
$$;
COMMENT ON FUNCTION postrider.attachment_select(postrider.webhook_attachments, text) IS
    'Part of attach: the SELECT that makes the events of one operation.';

CREATE FUNCTION postrider.attachment_body(a postrider.webhook_attachments) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    marker    text := postrider.attachment_marker(a);
    pairs     boolean := 'update' = ANY (a.operations) AND postrider.attachment_uses_old(a);
    may_fail  text[] := ARRAY(SELECT c FROM unnest(postrider.json_columns(a.target)) AS c
                              WHERE a.sent_columns IS NULL OR c = ANY (a.sent_columns));
    -- Of one operation nothing is to be asked: each condition is an expression that every transaction sets up anew. But a
    -- partition that was detached keeps its triggers, of operations that are no longer attached too, and so does a new name.
    is_alone  boolean := cardinality(a.operations) = 1 AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_trigger AS t
        WHERE t.tgfoid = to_regprocedure(format('postrider_attached.%I()', format('webhook_%s', a.id)))
          AND (t.tgrelid NOT IN (SELECT postrider.with_descendants(a.target))
               OR t.tgname !~ format('^webhook_%s_(insert|update|delete|truncate)$', a.id)));
    branches  text := '';
    operation text;
BEGIN
    FOREACH operation IN ARRAY a.operations LOOP
        IF NOT is_alone THEN
            branches := branches || format(E'    %s TG_OP = %L THEN\n', CASE branches WHEN '' THEN 'IF' ELSE 'ELSIF' END, upper(operation));
        END IF;
        IF operation = 'update' AND pairs AND EXISTS (SELECT FROM pg_catalog.pg_class
                                                      WHERE oid = a.target AND relkind = 'p') THEN
            branches := branches || format(
                E'        -- A BEFORE INSERT trigger that swallows a row which moves to another partition leaves an old row alone.\n'
                '        IF (SELECT count(*) FROM old_rows) <> (SELECT count(*) FROM new_rows) THEN\n'
                '            RAISE EXCEPTION ''cannot tell which old and new rows belong together (%s)''\n'
                '                USING HINT = ''A BEFORE INSERT trigger of a partition dropped a row that moved there.'';\n'
                '        END IF;\n', replace(replace(a.table_name, '''', ''''''), '%', '%%'));
        END IF;
        branches := branches || format(
            E'        INSERT INTO postrider.webhook_event_log\n'
            '            (event_type, event_source, table_name, record_id, user_id, organization_id, ordering_key,'
            ' priority, data)\n'
            '        -- When a column is missing here: SELECT postrider.refresh_attachments();\n'
            '        %s;\n',
            postrider.attachment_select(a, operation));
    END LOOP;
    branches := branches || CASE WHEN is_alone THEN '' ELSE E'    END IF;\n' END;
    RETURN format(
        E'\n-- Made by postrider.attach (%s); attach again to change it.\n'
        '#variable_conflict use_column\nBEGIN\n%s    RETURN NEW;\n%sEND\n',
        -- Either of the two ends a comment of SQL, and what follows would be run.
        translate(a.name, E'\r\n', '  '), branches,
        CASE WHEN cardinality(may_fail) = 0 THEN '' ELSE format(
            E'EXCEPTION WHEN untranslatable_character THEN\n'
            '    RAISE EXCEPTION USING ERRCODE = ''untranslatable_character'',\n'
            '        MESSAGE = %L,\n        HINT = %L;\n',
            format('a json column of %s holds \u0000, which an event cannot carry (attachment %s)', a.table_name, a.name),
            format('Make the column jsonb, or leave it out: postrider.attach(…, except_columns => %L).', may_fail)) END);
END
$$;
COMMENT ON FUNCTION postrider.attachment_body(postrider.webhook_attachments) IS 'Part of attach: the body of the trigger function.';

-- Attachments: checks ---------------------------------------------------------------------------------------------------

CREATE FUNCTION postrider.check_attachable(target regclass) RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE
    relation pg_catalog.pg_class;
    schema   text;
    foreign_table regclass;
BEGIN
    SELECT c.* INTO relation FROM pg_catalog.pg_class AS c WHERE c.oid = target;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'attach needs a table' USING ERRCODE = 'undefined_table';
    END IF;
    schema := relation.relnamespace::regnamespace::text;
    IF relation.relkind IN ('v', 'm') THEN
        RAISE EXCEPTION '% is a view: its rows change in the tables below it', target
            USING ERRCODE = 'wrong_object_type', HINT = 'Attach those tables, or call postrider.emit where the change is made.';
    ELSIF relation.relkind = 'f' THEN
        RAISE EXCEPTION '% is a foreign table: Postgres gives its triggers no transition tables', target
            USING ERRCODE = 'wrong_object_type', HINT = 'Attach the table on the other server, or call postrider.emit.';
    ELSIF relation.relkind NOT IN ('r', 'p') THEN
        RAISE EXCEPTION '% is not a table', target USING ERRCODE = 'wrong_object_type';
    ELSIF relation.relpersistence = 't' THEN
        RAISE EXCEPTION '% is a temporary table: it ends with its session', target
            USING ERRCODE = 'wrong_object_type', HINT = 'Attach a permanent table, or call postrider.emit.';
    ELSIF schema IN ('pg_catalog', 'information_schema', 'pg_toast') THEN
        RAISE EXCEPTION '% belongs to Postgres itself', target
            USING ERRCODE = 'wrong_object_type', HINT = 'Attach a table of your own.';
    ELSIF schema = 'postrider' THEN
        RAISE EXCEPTION '% belongs to Postrider: its events would make events', target
            USING ERRCODE = 'wrong_object_type', HINT = 'Attach a table of your own.';
    ELSIF NOT pg_has_role(relation.relowner, 'USAGE') THEN
        RAISE EXCEPTION 'only the owner of % can attach it', target
            USING ERRCODE = 'insufficient_privilege', HINT = format('Run it as %s.', relation.relowner::regrole);
    END IF;
    SELECT c.oid INTO foreign_table FROM pg_catalog.pg_class AS c
    WHERE c.relkind = 'f' AND c.oid IN (SELECT postrider.with_descendants(target)) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '% has the foreign table % below it: rows written there cannot be collected', target, foreign_table
            USING ERRCODE = 'wrong_object_type', HINT = 'Attach the partitions that are local, one by one.';
    END IF;
END
$$;
COMMENT ON FUNCTION postrider.check_attachable(regclass) IS 'Part of attach: raises an error that names the cure when a table cannot be attached.';

-- A superuser may give a function to a role that could not make it.
CREATE FUNCTION postrider.check_producer_rights(target regclass, role_name name) RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE
    is_given boolean := (SELECT caller.rolsuper FROM pg_catalog.pg_roles AS caller WHERE caller.rolname = current_user);
BEGIN
    IF NOT has_schema_privilege(role_name, 'postrider', 'USAGE')
       OR NOT has_table_privilege(role_name, 'postrider.webhook_event_log', 'INSERT')
       OR NOT has_table_privilege(role_name, 'postrider.webhook_queue', 'INSERT')
       OR NOT has_function_privilege(role_name, 'postrider.doorbell_is_needed()', 'EXECUTE')
       OR NOT has_function_privilege(role_name, 'postrider.next_event_id()', 'EXECUTE')
       OR NOT has_function_privilege(role_name, 'postrider.checked_event_type(text, text)', 'EXECUTE') THEN
        RAISE EXCEPTION 'the events of % are written as %, who may not write events', target, role_name
            USING ERRCODE = 'insufficient_privilege', HINT = format(
                CASE WHEN to_regrole('postrider_producer') IS NOT NULL THEN 'GRANT postrider_producer TO %1$I;'
                ELSE 'GRANT USAGE ON SCHEMA postrider TO %1$I; '
                     'GRANT INSERT ON postrider.webhook_event_log, postrider.webhook_queue TO %1$I; '
                     'GRANT EXECUTE ON FUNCTION postrider.next_event_id, postrider.checked_event_type, '
                     'postrider.doorbell_is_needed TO %1$I;' END, role_name);
    ELSIF NOT is_given AND NOT has_schema_privilege(role_name, 'postrider_attached', 'CREATE') THEN
        RAISE EXCEPTION 'the trigger function of % belongs to %, who may not have one in postrider_attached', target, role_name
            USING ERRCODE = 'insufficient_privilege', HINT = format(
                CASE WHEN to_regrole('postrider_producer') IS NOT NULL THEN 'GRANT postrider_producer TO %1$I;'
                ELSE 'GRANT USAGE, CREATE ON SCHEMA postrider_attached TO %1$I;' END, role_name);
    END IF;
END
$$;
COMMENT ON FUNCTION postrider.check_producer_rights(regclass, name) IS 'Part of attach: raises an error with the GRANT that is missing.';

CREATE FUNCTION postrider.without_expressions(a postrider.webhook_attachments) RETURNS postrider.webhook_attachments
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    names text[] := postrider.column_names(a.target);
BEGIN
    a.event_type := coalesce(a.event_type, 'any');
    a.event_type_expression := NULL;
    a.condition := NULL;
    a.organization_id := CASE WHEN a.organization_id = ANY (names) THEN a.organization_id END;
    a.user_id := CASE WHEN a.user_id = ANY (names) THEN a.user_id END;
    a.record_id := CASE WHEN a.record_id IS NULL OR a.record_id = ANY (names) THEN a.record_id ELSE 'NULL' END;
    a.ordering_key := CASE WHEN a.ordering_key = ANY (names) THEN a.ordering_key END;
    a.priority := CASE WHEN a.priority = ANY (names) OR a.priority IN ('high', 'normal', 'low') THEN a.priority END;
    RETURN a;
END
$$;
COMMENT ON FUNCTION postrider.without_expressions(postrider.webhook_attachments) IS
    'Part of attach: the attachment with columns and constants alone, which anybody may analyse.';

-- Expressions have the rights of the table's owner, who wrote them or let them be written: the function tells who that was.
CREATE FUNCTION postrider.has_function_of_owner(a postrider.webhook_attachments) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM pg_proc AS p JOIN pg_class AS c ON c.oid = a.target AND c.relowner = p.proowner
                   WHERE p.oid = to_regprocedure(format('postrider_attached.%I()', format('webhook_%s', a.id))))
$$;
COMMENT ON FUNCTION postrider.has_function_of_owner(postrider.webhook_attachments) IS
    'Part of attach: does the trigger function belong to who owns the table now?';

CREATE FUNCTION postrider.has_types_of_others(target regclass) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM pg_attribute AS c JOIN pg_type AS t ON t.oid = c.atttypid JOIN pg_roles AS o ON o.oid = t.typowner
                   WHERE c.attrelid = target AND c.attnum > 0 AND NOT c.attisdropped
                     AND NOT o.rolsuper AND o.rolname <> current_user)
$$;
COMMENT ON FUNCTION postrider.has_types_of_others(regclass) IS
    'Part of attach: does a column have a type that belongs neither to the caller nor to a superuser?';

-- The very SELECT of the trigger, over no rows: a wrong expression fails here and not in a producer's transaction.
-- Planning calls functions that are declared immutable, so it would lend the rights of whoever looks (a superuser's, of
-- doctor) to the functions of whoever attached. Only those who have no more rights than the table's owner plan. For
-- others the statement is opened as an EXPLAIN, which is planned when its first row is fetched, and no row is: it is analysed.
-- Analysis reads literals, and that of an array or a row over a domain calls the domain's rule, which anybody may have made.
-- So others do not even analyse words that are not theirs, nor theirs beside types of others: no expression stands in what
-- they open, only what attach itself makes of columns.
--
-- A cursor, and not EXECUTE, because expressions are pasted in: OPEN refuses text that holds more than one statement
-- before it runs any of it, and needs neither a temporary object nor a transaction that may write.
CREATE FUNCTION postrider.try_attachment(a postrider.webhook_attachments, are_own boolean) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    may_plan  boolean := (SELECT (owner.rolname = current_user OR owner.rolsuper)
                                 AND (are_own OR postrider.has_function_of_owner(a))
                          FROM pg_class AS c JOIN pg_roles AS owner ON owner.oid = c.relowner WHERE c.oid = a.target);
    attempt   refcursor;
    operation text;
    statement text;
    problem   text;
    code      text;
BEGIN
    IF may_plan IS NOT TRUE AND (are_own IS NOT TRUE OR postrider.has_types_of_others(a.target)) THEN
        a := postrider.without_expressions(a);
    END IF;
    FOREACH operation IN ARRAY a.operations LOOP
        statement := format('WITH new_rows AS (SELECT * FROM %1$s LIMIT 0), old_rows AS (SELECT * FROM %1$s LIMIT 0),'
                            ' tg AS (SELECT NULL::text AS tg_op, NULL::name AS tg_table_name, NULL::name AS tg_table_schema)'
                            ' SELECT e.* FROM tg CROSS JOIN LATERAL (%2$s) AS e LIMIT 0',
                            a.target, postrider.attachment_select(a, operation));
        BEGIN
            attempt := NULL;
            OPEN attempt FOR EXECUTE CASE WHEN may_plan THEN statement ELSE 'EXPLAIN ' || statement END;
            CLOSE attempt;
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS problem = MESSAGE_TEXT, code = RETURNED_SQLSTATE;
            RAISE EXCEPTION 'an expression of the attachment of % is not valid for %: %', a.table_name, operation, problem
                USING ERRCODE = code, HINT = 'Expressions see NEW, OLD and TG_OP; write tables, functions and types outside pg_catalog with their schema.';
        END;
    END LOOP;
END
$$;
COMMENT ON FUNCTION postrider.try_attachment(postrider.webhook_attachments, boolean) IS
    'Part of attach: raises an error when an expression or a column does not fit the table; are_own: whether the caller wrote the expressions.';

CREATE FUNCTION postrider.attachment_fault(a postrider.webhook_attachments) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    problem text;
BEGIN
    PERFORM postrider.try_attachment(a, are_own => false);
    RETURN NULL;
EXCEPTION
    -- Whoever may not read the table cannot tell.
    WHEN insufficient_privilege THEN
        RETURN NULL;
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS problem = MESSAGE_TEXT;
        RETURN problem;
END
$$;
COMMENT ON FUNCTION postrider.attachment_fault(postrider.webhook_attachments) IS
    'What would fail when the table is written, in one line; null when nothing would. Expressions are tried for the table''s owner alone.';

CREATE FUNCTION postrider.check_attachment(a postrider.webhook_attachments, are_own boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    existing text[] := postrider.column_names(a.target);
    missing  text := (SELECT c FROM unnest(coalesce(a.columns, a.except_columns)) AS c
                      WHERE c IS NULL OR c <> ALL (existing) LIMIT 1);
    wrong    text := (SELECT o FROM unnest(a.operations) AS o
                      WHERE o IS NULL OR o NOT IN ('insert', 'update', 'delete', 'truncate') LIMIT 1);
    denied   text[] := postrider.denied_columns(a.target);
    key      text := (SELECT c.attname FROM pg_catalog.pg_index AS i
                      JOIN pg_catalog.pg_attribute AS c ON c.attrelid = i.indrelid AND c.attnum = ANY (i.indkey)
                      WHERE i.indrelid = a.target AND i.indisprimary AND c.attname = ANY (denied) LIMIT 1);
    named    text := (SELECT n FROM unnest(a.columns || ARRAY[a.organization_id, a.user_id, a.record_id, a.ordering_key,
                                                              a.priority]) AS n WHERE n = ANY (denied) LIMIT 1);
    below    record;
BEGIN
    SELECT b.relation, b.column_name INTO below FROM postrider.denied_below(a.target) AS b LIMIT 1;
    IF num_nonnulls(a.event_type, a.event_type_expression) <> 1 THEN
        RAISE EXCEPTION 'an attachment needs either event_type or event_type_expression'
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF num_nonnulls(a.columns, a.except_columns) > 1 THEN
        RAISE EXCEPTION 'an attachment has either columns or except_columns' USING ERRCODE = 'invalid_parameter_value';
    ELSIF coalesce(cardinality(a.operations), 0) = 0 OR wrong IS NOT NULL OR array_position(a.operations, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'not an operation: %', coalesce(quote_literal(wrong), 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Operations are insert, update, delete, truncate.';
    ELSIF missing IS NOT NULL OR array_position(coalesce(a.columns, a.except_columns), NULL) IS NOT NULL THEN
        RAISE EXCEPTION '% has no column %', a.target, coalesce(quote_ident(missing), 'null')
            USING ERRCODE = 'undefined_column', HINT = format('It has: %s.', array_to_string(existing, ', '));
    ELSIF named IS NOT NULL THEN
        RAISE EXCEPTION 'column % of % may not be sent: it is denied', quote_ident(named), a.target
            USING ERRCODE = 'insufficient_privilege', HINT = 'SELECT * FROM postrider.webhook_denied_columns lists what is.';
    ELSIF below.relation IS NOT NULL THEN
        RAISE EXCEPTION 'column % of % may not be sent by an attachment of %: it is denied there', quote_ident(below.column_name),
            below.relation, a.target
            USING ERRCODE = 'insufficient_privilege', HINT = format('Deny it for %s, or allow it for %s.', a.target, below.relation);
    ELSIF a.record_id IS NULL AND key IS NOT NULL THEN
        RAISE EXCEPTION 'column % of % may not be sent as record_id: it is denied', quote_ident(key), a.target
            USING ERRCODE = 'insufficient_privilege',
                  HINT = 'Give record_id: another column, or an expression such as md5(NEW.column::text).';
    ELSIF EXISTS (SELECT FROM unnest(ARRAY[a.event_type_expression, a.condition, a.organization_id, a.user_id, a.record_id,
                                           a.ordering_key, a.priority]) AS s
                  WHERE strpos(s, ';') > 0 AND s <> ALL (existing)) THEN
        RAISE EXCEPTION 'an expression of the attachment of % holds a semicolon', a.table_name
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Settings are expressions, not statements. Write chr(59) for a semicolon in a text.';
    ELSIF 'truncate' = ANY (a.operations) AND a.event_type IS NULL THEN
        RAISE EXCEPTION 'TRUNCATE has no row to work the event type out from'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Attach truncate by itself, with a constant event_type.';
    END IF;
    IF a.event_type IS NOT NULL THEN
        PERFORM postrider.checked_event_type(a.event_type, format('attachment of %s', a.table_name));
    END IF;
    PERFORM postrider.try_attachment(a, are_own);
END
$$;
COMMENT ON FUNCTION postrider.check_attachment(postrider.webhook_attachments, boolean) IS 'Part of attach: raises an error when its settings do not fit the table.';

-- Attachments: the triggers -----------------------------------------------------------------------------------------------

CREATE FUNCTION postrider.refuse_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'TRUNCATE of %.% would remove rows without their events', TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'feature_not_supported',
              HINT = 'Use DELETE; or attach the operation truncate, which makes one event; or, to do without events, ALTER TABLE … DISABLE TRIGGER ' || quote_ident(TG_NAME) || '.';
END
$$;
COMMENT ON FUNCTION postrider.refuse_truncate() IS
    'Trigger: refuses TRUNCATE of a table whose deletes are events.';

-- Partitions and inheriting tables get the triggers too, because a statement that names one fires its own triggers only.
-- CREATE OR REPLACE, since DROP TRIGGER would lock readers out.
CREATE FUNCTION postrider.create_attachment_triggers(a postrider.webhook_attachments) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    relation   regclass;
    operation  text;
    row_tables text;
BEGIN
    FOR relation IN SELECT postrider.with_descendants(a.target) LOOP
        -- A table that inherits may have columns more, whose types its owner chose: their casts would run as another.
        IF EXISTS (SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_class AS t ON t.oid = a.target
                   WHERE c.oid = relation AND NOT c.relispartition AND c.relowner <> t.relowner) THEN
            RAISE EXCEPTION '% inherits from % and has another owner', relation, a.target
                USING ERRCODE = 'insufficient_privilege', HINT = 'Give both the same owner.';
        END IF;
        FOREACH operation IN ARRAY ARRAY['insert', 'update', 'delete', 'truncate'] LOOP
            IF operation = ANY (a.operations) AND (operation <> 'truncate' OR relation = a.target) THEN
                row_tables := concat_ws(' ', CASE WHEN operation IN ('update', 'delete') THEN 'OLD TABLE AS old_rows' END,
                                             CASE WHEN operation IN ('update', 'insert') THEN 'NEW TABLE AS new_rows' END);
                EXECUTE format('CREATE OR REPLACE TRIGGER %I AFTER %s ON %s %s FOR EACH STATEMENT'
                               ' EXECUTE FUNCTION postrider_attached.%I()',
                    format('webhook_%s_%s', a.id, operation), operation, relation,
                    'REFERENCING ' || nullif(row_tables, ''), format('webhook_%s', a.id));
            ELSIF operation = 'truncate' AND 'delete' = ANY (a.operations) AND NOT 'truncate' = ANY (a.operations) THEN
                EXECUTE format('CREATE OR REPLACE TRIGGER %I BEFORE TRUNCATE ON %s FOR EACH STATEMENT'
                               ' EXECUTE FUNCTION postrider.refuse_truncate()',
                    format('webhook_%s_truncate', a.id), relation);
            ELSIF EXISTS (SELECT FROM pg_catalog.pg_trigger
                          WHERE tgrelid = relation AND tgname = format('webhook_%s_%s', a.id, operation)) THEN
                EXECUTE format('DROP TRIGGER %I ON %s', format('webhook_%s_%s', a.id, operation), relation);
            END IF;
        END LOOP;
    END LOOP;
END
$$;
COMMENT ON FUNCTION postrider.create_attachment_triggers(postrider.webhook_attachments) IS 'Part of attach: makes the triggers that fit the operations, drops the others.';

CREATE FUNCTION postrider.refuse_words_of_another(a postrider.webhook_attachments) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF postrider.without_expressions(a) IS DISTINCT FROM a AND NOT postrider.has_function_of_owner(a) THEN
        RAISE EXCEPTION 'attachment % of % has expressions, and the function that shows whose they are is gone or another owner''s',
            a.name, a.table_name
            USING ERRCODE = 'insufficient_privilege', HINT = format(
                'They would run with the rights of who owns the table now. Read them in postrider.webhook_attachments, then call postrider.attach with them and name => %L.', a.name);
    END IF;
END
$$;
COMMENT ON FUNCTION postrider.refuse_words_of_another(postrider.webhook_attachments) IS
    'Part of refresh_attachments: raises an error for expressions that may be those of an owner before.';

-- The function is given to the table's owner whoever calls: expressions must not get the rights of a member of the owner
-- who only rebuilds them, for deny_column say.
CREATE FUNCTION postrider.build_attachment(a postrider.webhook_attachments) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    owner name := (SELECT pg_catalog.pg_get_userbyid(c.relowner) FROM pg_catalog.pg_class AS c WHERE c.oid = a.target);
    made  text := format('postrider_attached.%I()', format('webhook_%s', a.id));
BEGIN
    PERFORM postrider.check_producer_rights(a.target, owner);
    -- Producers may make functions there, of any name, with triggers and grants that would outlive the next statements:
    -- whoever has these could have the function called for rows of their own, with the rights of the table's owner.
    IF EXISTS (SELECT FROM pg_catalog.pg_proc AS p
               WHERE p.oid = to_regprocedure(made) AND pg_catalog.pg_get_userbyid(p.proowner) <> owner) THEN
        EXECUTE format('DROP FUNCTION %s CASCADE', made);
    END IF;
    -- A plan made for one row would join old and new rows of 10,000 in a nested loop, 100 million times.
    EXECUTE format('CREATE OR REPLACE FUNCTION %s RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER'
                   ' SET search_path = pg_catalog, pg_temp %s AS %L',
        made, CASE WHEN 'update' = ANY (a.operations) AND postrider.attachment_uses_old(a) THEN 'SET enable_nestloop = off' ELSE '' END,
        postrider.attachment_body(a));
    IF (SELECT pg_catalog.pg_get_userbyid(p.proowner) FROM pg_catalog.pg_proc AS p WHERE p.oid = to_regprocedure(made))
       NOT IN (owner, current_user) THEN
        RAISE EXCEPTION 'somebody else made % in this moment', made USING ERRCODE = 'insufficient_privilege';
    END IF;
    EXECUTE format('ALTER FUNCTION %s OWNER TO %I', made, owner);
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', made);
    EXECUTE format('COMMENT ON FUNCTION %s IS %L', made,
        format('Trigger: attachment %s of %s. Made by postrider.attach.', a.name, a.table_name));
    PERFORM postrider.create_attachment_triggers(a);
END
$$;
COMMENT ON FUNCTION postrider.build_attachment(postrider.webhook_attachments) IS 'Part of attach: makes the function and the triggers of an attachment.';

-- Attachments: what people call -------------------------------------------------------------------------------------------

-- While anything is denied, the columns stand in the trigger by name: one that is added later, perhaps under a denied name,
-- is not sent before somebody looks at it, nor one that is renamed and has a denied member.
CREATE FUNCTION postrider.attachment_columns(target regclass, columns text[], except_columns text[]) RETURNS text[]
    LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN columns IS NOT NULL THEN columns
                WHEN except_columns IS NOT NULL OR denied.names <> '{}' OR EXISTS (SELECT FROM postrider.denied_paths(target))
                    THEN ARRAY(SELECT c FROM unnest(postrider.column_names(target)) WITH ORDINALITY AS u (c, position)
                               WHERE c <> ALL (coalesce(except_columns, '{}')) AND c <> ALL (denied.names) ORDER BY position) END
    FROM (SELECT postrider.denied_columns(target) AS names) AS denied
$$;
COMMENT ON FUNCTION postrider.attachment_columns(regclass, text[], text[]) IS 'Part of attach: the columns that are sent; null for whatever the table has.';

CREATE FUNCTION postrider.attach(
    target                regclass,
    event_type            text    DEFAULT NULL,
    operations            text[]  DEFAULT '{insert}',
    condition             text    DEFAULT NULL,
    event_type_expression text    DEFAULT NULL,
    columns               text[]  DEFAULT NULL,
    except_columns        text[]  DEFAULT NULL,
    organization_id       text    DEFAULT NULL,
    user_id               text    DEFAULT NULL,
    record_id             text    DEFAULT NULL,
    ordering_key          text    DEFAULT NULL,
    priority              text    DEFAULT NULL,
    event_source          text    DEFAULT 'trigger',
    include_old           boolean DEFAULT false,
    name                  text    DEFAULT NULL
) RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    a postrider.webhook_attachments;
BEGIN
    PERFORM postrider.check_attachable(target);
    -- deny_column holds the same lock: what it denies is known here, or it finds what is attached here. Before the table,
    -- as there, so that neither waits for what the other holds.
    PERFORM pg_advisory_xact_lock_shared(7745, 1);
    -- What CREATE TRIGGER takes anyway, taken first so that partitions cannot come in between.
    EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', target);
    a.target := target;
    a.table_name := (SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class AS c
                     JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = target);
    a.operations := ARRAY(SELECT DISTINCT lower(o) FROM unnest(operations) AS o ORDER BY 1);
    a.name := coalesce(name, event_type, array_to_string(a.operations, ' or '));
    a.event_type := event_type;
    a.event_type_expression := event_type_expression;
    a.condition := condition;
    a.columns := columns;
    a.except_columns := except_columns;
    a.except_places := ARRAY(SELECT format('%s.%s', c.attrelid, c.attnum) FROM pg_attribute AS c
                             WHERE c.attrelid = a.target AND c.attname = ANY (a.except_columns) ORDER BY c.attnum);
    a.sent_columns := postrider.attachment_columns(target, columns, except_columns);
    a.organization_id := organization_id;
    a.user_id := user_id;
    a.record_id := record_id;
    a.ordering_key := ordering_key;
    a.priority := priority;
    a.event_source := coalesce(event_source, 'trigger');
    a.include_old := coalesce(include_old, false);
    PERFORM postrider.check_attachment(a, are_own => true);
    INSERT INTO postrider.webhook_attachments AS t (target, name, table_name, operations, event_type,
        event_type_expression, condition, columns, except_columns, except_places, sent_columns, organization_id, user_id, record_id,
        ordering_key, priority, event_source, include_old)
    VALUES (a.target, a.name, a.table_name, a.operations, a.event_type, a.event_type_expression, a.condition, a.columns,
        a.except_columns, a.except_places, a.sent_columns, a.organization_id, a.user_id, a.record_id, a.ordering_key, a.priority,
        a.event_source, a.include_old)
    ON CONFLICT ON CONSTRAINT one_attachment_of_a_name_per_table DO UPDATE SET
        table_name = a.table_name, operations = a.operations, event_type = a.event_type,
        event_type_expression = a.event_type_expression, condition = a.condition, columns = a.columns,
        except_columns = a.except_columns, except_places = a.except_places, sent_columns = a.sent_columns, organization_id = a.organization_id,
        user_id = a.user_id, record_id = a.record_id, ordering_key = a.ordering_key, priority = a.priority,
        event_source = a.event_source, include_old = a.include_old, updated_at = clock_timestamp()
    RETURNING t.* INTO a;
    PERFORM postrider.build_attachment(a);
    RETURN a.name;
END
$$;
COMMENT ON FUNCTION postrider.attach(regclass, text, text[], text, text, text[], text[], text, text, text, text, text, text, boolean, text) IS
'Makes events of a table''s changes, in the same transaction, and gives the name of the attachment. Attaching the same name again replaces it. Blocks writers of the table until commit.
event_type: the type of every event; or event_type_expression, over NEW and OLD: no event when it gives null.
operations: insert (default), update, delete, truncate (one event; a table attached for delete alone refuses TRUNCATE).
condition: over NEW and OLD, which are rows of nulls where the operation has none; no event unless it is true.
columns, except_columns: what to send, what to leave out; neither: all columns, whatever the table has at the time; while a column is denied for the table or for every table, those that it had when it was attached or refreshed last.
organization_id, user_id, record_id (default: the primary key), ordering_key, priority (0 high, 1 normal, 2 low): a column name, or an expression over NEW and OLD.
include_old: data is {"old": …, "new": …} instead of the new row (of a delete, the old row).
Expressions run as the table''s owner with search_path pg_catalog: write other names with their schema. Partitions made later need postrider.refresh_attachments() for statements that name them.';

CREATE FUNCTION postrider.detach(target regclass, name text DEFAULT NULL) RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET client_min_messages = warning AS $$
#variable_conflict use_variable
DECLARE
    removed integer := 0;
    gone    integer;
BEGIN
    FOR gone IN DELETE FROM postrider.webhook_attachments AS t
                WHERE t.target = target AND (name IS NULL OR t.name = name) RETURNING t.id LOOP
        -- CASCADE takes the triggers along, also on partitions that were detached since.
        EXECUTE format('DROP FUNCTION IF EXISTS postrider_attached.%I() CASCADE', format('webhook_%s', gone));
        removed := removed + 1;
        PERFORM postrider.drop_truncate_guards(gone);
    END LOOP;
    IF removed = 0 AND name IS NOT NULL THEN
        RAISE EXCEPTION '% has no attachment %', target, quote_literal(name)
            USING ERRCODE = 'undefined_object', HINT = 'SELECT name FROM postrider.webhook_attachments lists them.';
    END IF;
    RETURN removed;
END
$$;
COMMENT ON FUNCTION postrider.detach(regclass, text) IS
    'Removes one attachment of a table, or all of them when name is null; gives how many.';

CREATE FUNCTION postrider.drop_truncate_guards(attachment_id integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    relation regclass;
BEGIN
    FOR relation IN SELECT tgrelid FROM pg_catalog.pg_trigger
                    WHERE tgname = format('webhook_%s_truncate', attachment_id)
                      AND tgfoid = 'postrider.refuse_truncate()'::regprocedure LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', format('webhook_%s_truncate', attachment_id), relation);
    END LOOP;
END
$$;
COMMENT ON FUNCTION postrider.drop_truncate_guards(integer) IS 'Part of detach: the guards against TRUNCATE share one function, so no cascade finds them.';

CREATE FUNCTION postrider.refresh_attachments(target regclass DEFAULT NULL) RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    a         postrider.webhook_attachments;
    successor regclass;
    refreshed integer := 0;
BEGIN
    -- As in attach: before any table.
    PERFORM pg_advisory_xact_lock_shared(7745, 1);
    FOR a IN SELECT t.* FROM postrider.webhook_attachments AS t WHERE target IS NULL OR t.target = target ORDER BY t.id LOOP
        refreshed := refreshed + 1;
        IF NOT EXISTS (SELECT FROM pg_class WHERE oid = a.target) THEN
            -- Dropped and made again, by a restore that may have brought the triggers along. Only where it has the owner of
            -- before, who wrote the expressions or let them be written.
            SELECT c.oid INTO successor FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
            JOIN pg_proc AS p ON p.proowner = c.relowner AND p.pronamespace = 'postrider_attached'::regnamespace
                             AND p.proname = format('webhook_%s', a.id) AND p.pronargs = 0
            WHERE format('%I.%I', n.nspname, c.relname) = a.table_name AND c.relkind IN ('r', 'p')
              AND NOT EXISTS (SELECT FROM postrider.webhook_attachments AS t WHERE t.target = c.oid AND t.name = a.name);
            IF FOUND THEN
                -- What is denied is known by the table's number too. Left behind it would be sent by what is attached here.
                WITH moved AS (
                    DELETE FROM postrider.webhook_denied_columns AS d WHERE d.target = a.target RETURNING d.*
                )
                INSERT INTO postrider.webhook_denied_columns (target, column_name, path, place, created_by, created_at)
                SELECT successor, m.column_name, m.path,
                       (SELECT format('%s.%s', c.attrelid, c.attnum) FROM pg_attribute AS c
                        WHERE c.attrelid = successor AND c.attname = m.column_name), m.created_by, m.created_at
                FROM moved AS m
                ON CONFLICT ON CONSTRAINT denied_once DO NOTHING;
                UPDATE postrider.webhook_attachments AS t SET target = successor WHERE t.id = a.id RETURNING t.* INTO a;
            ELSE
                PERFORM postrider.detach(a.target, a.name);
                CONTINUE;
            END IF;
        END IF;
        EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', a.target);
        -- A column that is gone cannot be sent any more and need not be left out any more; one that is denied may not be.
        -- One that was renamed is not gone: by its old name alone it would be taken for a new one, and sent.
        IF a.except_columns IS NOT NULL THEN
            a.except_columns := ARRAY(SELECT c.attname::text FROM pg_attribute AS c
                                      WHERE c.attrelid = a.target AND c.attnum > 0 AND NOT c.attisdropped
                                        AND (c.attname = ANY (a.except_columns)
                                             OR format('%s.%s', c.attrelid, c.attnum) = ANY (a.except_places))
                                      ORDER BY array_position(a.except_columns, c.attname::text), c.attnum);
            a.except_places := ARRAY(SELECT format('%s.%s', c.attrelid, c.attnum) FROM pg_attribute AS c
                                     WHERE c.attrelid = a.target AND c.attname = ANY (a.except_columns) ORDER BY c.attnum);
        ELSIF a.columns IS NOT NULL THEN
            a.columns := ARRAY(SELECT c FROM unnest(a.columns) AS c WHERE c = ANY (postrider.column_names(a.target))
                                                                      AND c <> ALL (postrider.denied_columns(a.target)));
        END IF;
        UPDATE postrider.webhook_attachments AS t
        SET table_name = (SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class AS c
                          JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = a.target),
            columns = a.columns, except_columns = a.except_columns, except_places = a.except_places,
            sent_columns = postrider.attachment_columns(a.target, a.columns, a.except_columns),
            updated_at = clock_timestamp()
        WHERE t.id = a.id RETURNING t.* INTO a;
        PERFORM postrider.refuse_words_of_another(a);
        PERFORM postrider.check_attachment(a, are_own => false);
        PERFORM postrider.build_attachment(a);
    END LOOP;
    RETURN refreshed;
END
$$;
COMMENT ON FUNCTION postrider.refresh_attachments(regclass) IS
    'Brings triggers up to date after tables changed: new partitions, renamed or dropped columns, renamed or dropped tables; attaches the table that has name and owner of one that was dropped. For one table, or for all when null; gives how many attachments it looked at.';

-- Denying columns -------------------------------------------------------------------------------------------------------

-- Runs as its caller, like attach: nobody rebuilds the triggers of tables that are not theirs. What cannot be rebuilt now
-- keeps the column from being denied, so that the list never says more than is true.
CREATE FUNCTION postrider.rebuild_for_denied(denied_target regclass, denied_column text) RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found   record;
    rebuilt integer := 0;
BEGIN
    FOR found IN
        SELECT a.target, c.relowner, count(*) AS attachments FROM postrider.webhook_attachments AS a
        JOIN pg_class AS c ON c.oid = a.target
        WHERE (denied_target IS NULL OR a.target IN (SELECT postrider.with_descendants(denied_target)))
          AND (a.sent_columns IS NULL OR denied_column = ANY (postrider.column_names(a.target)))
        GROUP BY a.target, c.relowner ORDER BY a.target
    LOOP
        IF NOT pg_has_role(found.relowner, 'USAGE') THEN
            RAISE EXCEPTION '% is attached, and only its owner can rebuild the trigger', found.target
                USING ERRCODE = 'insufficient_privilege', HINT = format('Run it as %s.', found.relowner::regrole);
        END IF;
        PERFORM postrider.refresh_attachments(found.target);
        rebuilt := rebuilt + found.attachments;
    END LOOP;
    RETURN rebuilt;
END
$$;
COMMENT ON FUNCTION postrider.rebuild_for_denied(regclass, text) IS
    'Part of deny_column and allow_column: brings the attachments up to date that a column concerns; gives how many.';

CREATE FUNCTION postrider.deny_column(target regclass, column_name text, VARIADIC path text[] DEFAULT '{}') RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    place text;
    above regclass;
BEGIN
    IF coalesce(column_name, '') = '' OR path IS NULL OR array_position(path, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'a column to deny needs a name' USING ERRCODE = 'invalid_parameter_value';
    ELSIF target IS NOT NULL AND column_name <> ALL (postrider.column_names(target)) THEN
        RAISE EXCEPTION '% has no column %', target, quote_ident(column_name) USING ERRCODE = 'undefined_column',
            HINT = format('It has: %s. Give NULL for the table to deny a name for every table.', array_to_string(postrider.column_names(target), ', '));
    END IF;
    place := (SELECT format('%s.%s', c.attrelid, c.attnum) FROM pg_attribute AS c
              WHERE c.attrelid = target AND c.attname = column_name);
    PERFORM pg_advisory_xact_lock(7745, 1);
    -- The trigger of a table above sends the rows of all that is below it. What is denied for that table stands already, by
    -- the rule of denied_below.
    SELECT a.target INTO above FROM postrider.webhook_attachments AS a
    WHERE a.target <> target AND a.target IN (SELECT postrider.with_ancestors(target))
      AND column_name <> ALL (postrider.denied_columns(a.target))
      AND (column_name || path) NOT IN (SELECT postrider.denied_paths(a.target))
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the rows of % are sent by an attachment of %', target, above USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = CASE WHEN column_name = ANY (postrider.column_names(above)) THEN format('Deny the column for %s.', above)
                        ELSE format('%s has no such column: give NULL for the table to deny the name for every table.', above) END;
    END IF;
    -- After a restore the place of before means nothing.
    DELETE FROM postrider.webhook_denied_columns AS d
    WHERE d.target = target AND d.column_name = column_name AND d.path = path AND d.place IS DISTINCT FROM place;
    INSERT INTO postrider.webhook_denied_columns (target, column_name, path, place)
    VALUES (target, column_name, path, place)
    ON CONFLICT ON CONSTRAINT denied_once DO NOTHING;
    RETURN postrider.rebuild_for_denied(target, column_name);
END
$$;
COMMENT ON FUNCTION postrider.deny_column(regclass, text, text[]) IS
    'Attachments never send this column of a table (null: of any table), or the member of it that the further names lead to. Rebuilds attachments, which blocks writers of their tables until commit, and gives how many; refused when one cannot be, and for a partition of a table that is attached and sends it, which has to be named instead.';

CREATE FUNCTION postrider.allow_column(target regclass, column_name text, VARIADIC path text[] DEFAULT '{}') RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    place text;
BEGIN
    PERFORM pg_advisory_xact_lock(7745, 1);
    DELETE FROM postrider.webhook_denied_columns AS d
    WHERE d.target IS NOT DISTINCT FROM target AND d.column_name = column_name AND d.path = path
    RETURNING d.place INTO place;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'column % is not denied for %', quote_ident(column_name), coalesce(target::text, 'every table')
            USING ERRCODE = 'undefined_object', HINT = 'SELECT * FROM postrider.webhook_denied_columns lists what is.';
    END IF;
    -- Denied under the name that it had, and rebuilt under the one that it has.
    RETURN postrider.rebuild_for_denied(target, coalesce(
        (SELECT c.attname::text FROM pg_attribute AS c
         WHERE c.attrelid = target AND NOT c.attisdropped AND format('%s.%s', c.attrelid, c.attnum) = place), column_name));
END
$$;
COMMENT ON FUNCTION postrider.allow_column(regclass, text, text[]) IS
    'Takes back deny_column, and rebuilds attachments; gives how many. An attachment that named the column among its columns must name it again.';

-- Attachments: what is wrong with them ------------------------------------------------------------------------------------

CREATE VIEW postrider.webhook_attachment_check WITH (security_invoker = true) AS
WITH live AS (
    SELECT a.*, c.relname IS NOT NULL AS exists,
           CASE WHEN c.relname IS NOT NULL THEN format('%I.%I', n.nspname, c.relname) END AS current_name
    FROM postrider.webhook_attachments AS a
    LEFT JOIN pg_catalog.pg_class AS c ON c.oid = a.target
    LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
), names AS (
    SELECT format('%I.%I', n.nspname, c.relname) AS name
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v')
), trigger_functions AS (
    -- Any producer may make functions there; those with arguments are no triggers, whatever their names.
    SELECT a.id AS attachment_id, p.proowner, p.prosrc FROM postrider.webhook_attachments AS a
    JOIN pg_catalog.pg_proc AS p ON p.pronamespace = 'postrider_attached'::regnamespace AND p.proname = format('webhook_%s', a.id)
                                AND p.pronargs = 0
), wanted AS (
    SELECT a.id, r.relation, o.operation
    FROM live AS a
    CROSS JOIN LATERAL postrider.with_descendants(a.target) AS r (relation)
    CROSS JOIN LATERAL unnest(a.operations || CASE WHEN 'delete' = ANY (a.operations) THEN '{truncate}'::text[] END) AS o (operation)
    WHERE a.exists AND (o.operation <> 'truncate' OR r.relation = a.target OR NOT 'truncate' = ANY (a.operations))
), found AS (
    SELECT id, NULL::regclass AS relation, NULL::text AS operation,
           'the table was dropped' || CASE WHEN table_name IN (SELECT name FROM names) THEN '; another one has its name' ELSE '' END
               AS problem, NULL::text AS cure
    FROM live WHERE NOT exists
    UNION ALL
    SELECT id, target, NULL,
           CASE WHEN table_name IN (SELECT name FROM names)
                    THEN 'the table was renamed; events still carry the old name, and what has it now is not attached by this'
                -- A row of nulls, where an expression names it: attachment_rows.
                WHEN (SELECT strpos(f.prosrc, format('(NULL::%s)', table_name)) > 0 FROM trigger_functions AS f WHERE f.attachment_id = live.id)
                    THEN 'statements that should make events fail: the table was renamed'
                ELSE 'the table was renamed; events still carry the old name' END, NULL
    FROM live WHERE current_name <> table_name
    UNION ALL
    -- What the new owner puts into the row, a cast of a type of its own for example, would run with the rights of the old one.
    SELECT a.id, a.target, NULL, 'the table has another owner; its events are made with the rights of the one before', NULL
    FROM live AS a
    JOIN pg_catalog.pg_class AS c ON c.oid = a.target
    JOIN trigger_functions AS f ON f.attachment_id = a.id
    WHERE f.proowner <> c.relowner
    UNION ALL
    SELECT a.id, a.target, NULL, 'statements that should make events fail: ' || t.fault, NULL
    FROM postrider.webhook_attachments AS a
    CROSS JOIN LATERAL (SELECT postrider.attachment_fault(a) AS fault) AS t
    WHERE t.fault IS NOT NULL AND a.id IN (SELECT id FROM live WHERE exists)
    UNION ALL
    SELECT a.id, a.target, NULL, format('column %I is new and not sent', c), NULL
    FROM live AS a CROSS JOIN LATERAL unnest(postrider.column_names(a.target)) AS c
    WHERE a.exists AND a.columns IS NULL AND c <> ALL (a.sent_columns) AND c <> ALL (coalesce(a.except_columns, '{}'))
      AND c <> ALL (postrider.denied_columns(a.target))
    UNION ALL
    SELECT a.id, a.target, NULL, format('column %I is denied and still sent', c), NULL
    FROM live AS a CROSS JOIN LATERAL unnest(postrider.column_names(a.target)) AS c
    WHERE a.exists AND c = ANY (postrider.denied_columns(a.target)) AND (a.sent_columns IS NULL OR c = ANY (a.sent_columns))
    UNION ALL
    -- Postgres does not ask anybody before it makes a table with denials of its own a partition of one that is attached.
    SELECT a.id, b.relation, NULL, format('column %I is denied for %s and still sent', b.column_name, b.relation),
           format('SELECT postrider.deny_column(%L%s);', a.current_name,
                  (SELECT string_agg(format(', %L', p.name), '' ORDER BY p.place)
                   FROM unnest(b.column_name || b.path) WITH ORDINALITY AS p (name, place)))
    FROM live AS a CROSS JOIN LATERAL postrider.denied_below(a.target) AS b
    WHERE a.exists AND b.column_name = ANY (coalesce(a.sent_columns, postrider.column_names(a.target)))
    UNION ALL
    SELECT DISTINCT w.id, w.relation, w.operation, CASE WHEN t.oid IS NULL THEN 'the trigger is missing'
                                               ELSE 'the trigger is disabled' END, NULL
    FROM wanted AS w
    LEFT JOIN pg_catalog.pg_trigger AS t
        ON t.tgrelid = w.relation AND t.tgname = format('webhook_%s_%s', w.id, w.operation)
    WHERE t.oid IS NULL OR t.tgenabled IN ('D', 'R')
)
SELECT a.id AS attachment_id, a.table_name, a.name, f.relation::text AS relation, f.operation, f.problem,
       CASE WHEN f.cure IS NOT NULL THEN f.cure
            WHEN f.problem = 'the trigger is disabled'
                THEN format('ALTER TABLE %s ENABLE TRIGGER %I;', f.relation, format('webhook_%s_%s', a.id, f.operation))
            WHEN f.relation IS NULL THEN 'SELECT postrider.refresh_attachments();'
            ELSE format('SELECT postrider.refresh_attachments(%L);', a.current_name) END AS cure
FROM found AS f JOIN live AS a ON a.id = f.id;
COMMENT ON VIEW postrider.webhook_attachment_check IS
    'What is wrong with attachments, one row for each fault; no row when all is well.';
COMMENT ON COLUMN postrider.webhook_attachment_check.attachment_id IS 'webhook_attachments.id.';
COMMENT ON COLUMN postrider.webhook_attachment_check.table_name IS 'The table as it was attached.';
COMMENT ON COLUMN postrider.webhook_attachment_check.name IS 'Name of the attachment.';
COMMENT ON COLUMN postrider.webhook_attachment_check.relation IS 'The table or partition at fault; null when it was dropped.';
COMMENT ON COLUMN postrider.webhook_attachment_check.operation IS 'Operation whose trigger is at fault; null when it is not a trigger.';
COMMENT ON COLUMN postrider.webhook_attachment_check.problem IS 'What is wrong.';
COMMENT ON COLUMN postrider.webhook_attachment_check.cure IS 'The statement that mends it.';

INSERT INTO postrider.webhook_migrations (version, name) VALUES (3, 'producing');
