-- Undoes 0013. Lost: all settings; destinations that name one send nothing until their headers and options name none.
DELETE FROM postrider.webhook_grants WHERE object = 'webhook_settings';
DROP TABLE postrider.webhook_settings;
SELECT postrider.grant_roles();

DELETE FROM postrider.webhook_migrations WHERE version = 13;
