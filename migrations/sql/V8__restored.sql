-- Which database this is. One that was restored is another: what tokens of before are bound to no longer holds there, and it is not served
-- until `after-restore` has treated it.

-- Where the row was written: the numbers of the database and of this table, and the name of the server's cluster. A dump that is loaded
-- elsewhere gets other numbers, a cluster that is recovered from an archive another name. NULL until `migrate` has filled it.
ALTER TABLE installation ADD COLUMN place TEXT;

-- The database's identity, if it is the database that it was given to.
CREATE VIEW installation_here AS
    SELECT i.identity FROM installation i
    WHERE i.place = concat_ws('/', (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()),
                              'installation'::regclass::oid, current_setting('cluster_name'));
