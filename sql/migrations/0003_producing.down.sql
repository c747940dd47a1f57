-- Undoes 0003. Every attachment ends: tables make no events any more. Events that exist stay.
SELECT postrider.drop_truncate_guards(id) FROM postrider.webhook_attachments;
DROP VIEW postrider.webhook_attachment_check;
DROP SCHEMA postrider_attached CASCADE;
DROP FUNCTION postrider.attach(regclass, text, text[], text, text, text[], text[], text, text, text, text, text, text, boolean, text),
    postrider.detach(regclass, text), postrider.deny_column(regclass, text, text[]),
    postrider.allow_column(regclass, text, text[]), postrider.rebuild_for_denied(regclass, text),
    postrider.refresh_attachments(regclass),
    postrider.build_attachment(postrider.webhook_attachments),
    postrider.create_attachment_triggers(postrider.webhook_attachments), postrider.drop_truncate_guards(integer),
    postrider.refuse_truncate(), postrider.check_attachment(postrider.webhook_attachments, boolean),
    postrider.attachment_fault(postrider.webhook_attachments), postrider.try_attachment(postrider.webhook_attachments, boolean),
    postrider.refuse_words_of_another(postrider.webhook_attachments), postrider.without_expressions(postrider.webhook_attachments),
    postrider.has_types_of_others(regclass), postrider.has_function_of_owner(postrider.webhook_attachments),
    postrider.check_producer_rights(regclass, name), postrider.check_attachable(regclass),
    postrider.attachment_columns(regclass, text[], text[]),
    postrider.attachment_body(postrider.webhook_attachments),
    postrider.attachment_select(postrider.webhook_attachments, text),
    postrider.attachment_constant(text, text),
    postrider.attachment_document(postrider.webhook_attachments, text, text),
    postrider.attachment_rows(postrider.webhook_attachments, text),
    postrider.attachment_marker(postrider.webhook_attachments),
    postrider.attachment_uses_old(postrider.webhook_attachments),
    postrider.attachment_key(postrider.webhook_attachments, text),
    postrider.attachment_value(postrider.webhook_attachments, text, text);
DROP FUNCTION postrider.denied_below(regclass), postrider.without_path(jsonb, text[]), postrider.denied_paths(regclass),
    postrider.denied_columns(regclass);
DROP TABLE postrider.webhook_attachments, postrider.webhook_denied_columns;
DROP FUNCTION postrider.json_columns(regclass), postrider.column_names(regclass), postrider.with_descendants(regclass),
    postrider.with_ancestors(regclass), postrider.emit(text, jsonb, text, text, text, text, integer, text, text),
    postrider.checked_event_type(text, text);

DELETE FROM postrider.webhook_migrations WHERE version = 3;
