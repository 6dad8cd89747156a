-- By how many seconds the functions' clock, whose time is `moment`, is ahead of the database's.
CREATE FUNCTION cofrap.clock_offset(moment int8) RETURNS float8
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN round((moment - extract(epoch FROM clock_timestamp()))::numeric, 3)::float8;
END $$;
