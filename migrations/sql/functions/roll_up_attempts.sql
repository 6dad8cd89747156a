-- Adds a batch of attempts to the totals, before they are read.
CREATE FUNCTION cofrap.roll_up_attempts(
    max_rows int8,
    OUT answer text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    answer := cofrap.roll_up(max_rows)::text;
END $$;
