-- Postrider 0001, undone: everything is dropped, with all events and their history.
DROP SCHEMA postrider CASCADE;
