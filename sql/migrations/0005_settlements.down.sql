-- Undoes 0005. Stop the workers first: they begin what they record with it. No delivery is lost.
DROP FUNCTION postrider.begin_settlement(bigint, bigint, uuid, integer, smallint, integer);
DROP TABLE postrider.webhook_settlements;

DELETE FROM postrider.webhook_migrations WHERE version = 5;
