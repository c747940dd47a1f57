-- Undoes 0008. Destinations stay; what is refused is what 0002 refuses.
DROP TRIGGER webhook_destination_gate ON postrider.webhook_destinations;
DROP FUNCTION postrider.webhook_destination_gate();
CREATE OR REPLACE FUNCTION postrider.check_destination(d postrider.webhook_destinations, was postrider.webhook_destinations DEFAULT NULL)
    RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    part  text;
    value jsonb;
BEGIN
    IF coalesce(d.name, '') = '' THEN
        RAISE EXCEPTION 'an endpoint needs a name' USING ERRCODE = 'invalid_parameter_value', COLUMN = 'name';
    ELSIF d.url IS NULL OR d.url !~* '^https?://' THEN
        RAISE EXCEPTION 'the URL must begin with https:// (or http://): %', coalesce(quote_literal(d.url), 'it is null')
            USING ERRCODE = 'invalid_parameter_value', COLUMN = 'url';
    ELSIF d.url ~ '^[^/]*//[^/?#]*@' THEN
        RAISE EXCEPTION 'the URL must not hold a user name or password'
            USING ERRCODE = 'invalid_parameter_value', COLUMN = 'url', HINT = 'Use headers, for example {"Authorization": "Bearer …"}.';
    ELSIF d.url ~ '[[:cntrl:][:space:]]' THEN
        RAISE EXCEPTION 'the URL must not hold blanks or control characters'
            USING ERRCODE = 'invalid_parameter_value', COLUMN = 'url', HINT = 'Write a blank as %20.';
    ELSIF d.event_types IS NULL OR cardinality(d.event_types) = 0 THEN
        RAISE EXCEPTION 'an endpoint needs at least one event type'
            USING ERRCODE = 'invalid_parameter_value', COLUMN = 'event_types', HINT = 'ARRAY[''*''] subscribes to every event.';
    END IF;
    FOREACH part IN ARRAY d.event_types LOOP
        IF part IS NULL OR part !~ '^(\*|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\.\*)?)$' OR length(part) > 128 THEN
            RAISE EXCEPTION 'not an event type or pattern: %', coalesce(quote_literal(part), 'null')
                USING ERRCODE = 'invalid_parameter_value', COLUMN = 'event_types',
                      HINT = 'Write a type such as lead.created, lead.* for every type below lead, or * for all.';
        END IF;
    END LOOP;
    IF jsonb_typeof(d.headers) <> 'object' THEN
        RAISE EXCEPTION 'headers must be a JSON object of names and strings'
            USING ERRCODE = 'invalid_parameter_value', COLUMN = 'headers', HINT = 'For example {"X-Team": "sales"}.';
    END IF;
    FOR part, value IN SELECT h.key, h.value FROM jsonb_each(d.headers) AS h LOOP
        IF part !~ '^[A-Za-z0-9!#$%&''*+.^_`|~-]+$' THEN
            RAISE EXCEPTION 'not a header name: %', quote_literal(part)
                USING ERRCODE = 'invalid_parameter_value', COLUMN = 'headers';
        ELSIF lower(part) IN ('host', 'content-length', 'transfer-encoding', 'connection') THEN
            RAISE EXCEPTION 'the header % is set by the sender itself', part
                USING ERRCODE = 'invalid_parameter_value', COLUMN = 'headers';
        ELSIF jsonb_typeof(value) <> 'string' OR (value #>> '{}') ~ '[\x01-\x08\x0a-\x1f\x7f]' THEN
            RAISE EXCEPTION 'the value of header % must be a string without line breaks', part
                USING ERRCODE = 'invalid_parameter_value', COLUMN = 'headers';
        END IF;
    END LOOP;
END
$$;
DROP FUNCTION postrider.call_transform(text, jsonb, jsonb), postrider.forbid_transform(text), postrider.allow_transform(text),
    postrider.transform_name(text), postrider.transform_fault(text);
DROP TABLE postrider.webhook_transforms;
DELETE FROM postrider.webhook_grants WHERE object IN ('webhook_transforms', 'call_transform', 'transform_fault', 'transform_name');
DROP FUNCTION postrider.header_fault(jsonb), postrider.option_fault(jsonb), postrider.pattern_fault(text[]), postrider.name_fault(text),
    postrider.url_fault(text), postrider.is_ipv6(text), postrider.is_ipv4(text), postrider.names_settings(text),
    postrider.is_reference(jsonb), postrider.has_members(jsonb, text[]),
    postrider.waits_fault(bigint, bigint, float8, bigint[]), postrider.statuses_fault(text),
    postrider.sent_header_fault(jsonb, jsonb), postrider.header_names(jsonb);

DELETE FROM postrider.webhook_migrations WHERE version = 8;
