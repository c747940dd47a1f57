-- Undoes 0002. No data is lost: views and functions only.
DROP VIEW postrider.webhook_destination_status, postrider.webhook_queue_status;
DROP VIEW postrider.n8n_workflows, postrider.webhook_endpoints, postrider.webhook_deliveries, postrider.webhook_events;
DROP VIEW postrider.webhook_in_flight, postrider.webhook_destination_headers;
DROP FUNCTION postrider.delete_destination(), postrider.update_destination(), postrider.insert_destination(),
    postrider.view_row(anyelement, postrider.webhook_destinations, text), postrider.refuse_read_only(text[]),
    postrider.destination_row(jsonb), postrider.check_destination(postrider.webhook_destinations, postrider.webhook_destinations),
    postrider.rotate_secret(uuid, text, interval), postrider.set_secret(integer, text, interval),
    postrider.secret_hint(integer), postrider.new_secret(text), postrider.random_bytes_32(),
    postrider.matches(text[], text), postrider.is_waiting(uuid, smallint), postrider.is_own(uuid, integer),
    postrider.current_organization();

DELETE FROM postrider.webhook_migrations WHERE version = 2;
