-- Sets the sequence of a table behind its highest number: restored or copied rows may have left it behind.
CREATE FUNCTION cofrap.catch_up(numbered text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    numbers regclass := pg_get_serial_sequence('public.' || numbered, 'id');
    highest int8 := CASE numbered
        WHEN 'users_v2' THEN (SELECT max(u.id) FROM public.users_v2 u)
        WHEN 'password_history_v2' THEN (SELECT max(h.id) FROM public.password_history_v2 h)
        WHEN 'auth_logs_v2' THEN (SELECT max(l.id) FROM public.auth_logs_v2 l) END;
BEGIN
    IF numbers IS NULL THEN
        RAISE EXCEPTION 'the numbers of % come from no sequence', numbered;
    END IF;
    -- One at a time: nobody sets back what another has taken further.
    PERFORM pg_advisory_xact_lock(numbers::oid::int8);
    IF highest > coalesce(pg_sequence_last_value(numbers), 0) THEN
        PERFORM setval(numbers, highest);
    END IF;
END $$;
