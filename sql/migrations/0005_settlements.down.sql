-- Undoes 0005. Stop the workers first: they number what they record. No delivery is lost.
DROP FUNCTION postrider.begin_settlement(bigint, bigint);
DROP TABLE postrider.webhook_settlements;

DELETE FROM postrider.webhook_migrations WHERE version = 5;
