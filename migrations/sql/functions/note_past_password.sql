-- Adds a password to the history.
CREATE FUNCTION cofrap.note_past_password(
    account int8,
    past_password text,
    past_key text, -- or null
    past_binding text, -- or null
    moment int8
) RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    LOOP
        INSERT INTO public.password_history_v2
            (user_id, password, password_key, password_binding, gendate, expired, created_at)
        VALUES (account, past_password, past_key, coalesce(past_binding, ''), moment, FALSE, to_timestamp(moment) AT TIME ZONE 'UTC')
        ON CONFLICT DO NOTHING;
        EXIT WHEN FOUND;
        PERFORM cofrap.catch_up('password_history_v2');
    END LOOP;
END $$;
