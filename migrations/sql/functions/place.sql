-- Where the database is: what `installation.place` says in the database that it was written in (`installation_here` compares the same).
--
-- A connection is to one database of one server that runs: for its plans, which last no longer, it is a constant, and is computed once.
CREATE FUNCTION cofrap.place() RETURNS text
LANGUAGE plpgsql IMMUTABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN concat_ws('/', (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()),
                     'public.installation'::regclass::oid, current_setting('cluster_name'));
END $$;
