-- Locks the account of a session, and returns whether the session is valid.
CREATE FUNCTION cofrap.lock_session(account int8, seen_session_epoch int8, seen_session text) RETURNS bool
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM public.users_v2 u
        WHERE u.id = account AND u.session_epoch = seen_session_epoch AND u.disabled_at IS NULL
        FOR NO KEY UPDATE;
    -- Asked once the account is locked: whoever ends a session locks it first.
    RETURN FOUND AND NOT EXISTS (
        SELECT FROM public.ended_sessions e WHERE e.user_id = account AND e.id = seen_session);
END $$;
