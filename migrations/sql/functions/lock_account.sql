-- Locks an account, and compares it with what the request read: 'stands' if it is the same; 'resealed' if only its secrets were encrypted again;
-- 'session_ended' if the caller's session was ended; else 'overtaken'. Every function that checked an
-- account's credentials calls it first: the limits are locked after it, always in this order.
CREATE FUNCTION cofrap.lock_account(
    account int8,
    -- Seen: what the request's first statement read.
    seen_password_generation int8,
    seen_mfa_generation int8,
    seen_security_counter int8,
    seen_login_counter int8, -- or null: not compared
    seen_session_epoch int8, -- or null: not compared
    seen_state text, -- or null: not compared
    seen_mark bool, -- or null: not compared
    seen_password text, -- or null: not compared
    seen_mfa text, -- or null: not compared; empty where there was none
    seen_pending_mfa text, -- or null: not compared; empty where there was none
    seen_session text, -- or null: by no session
    step int8, -- or null: no code is used up
    otp_limit int8 -- 0: any number
) RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stands bool;
    is_sealed_alike bool;
BEGIN
    -- Whoever waits here sees the row as the one before left it.
    SELECT u.password_generation = seen_password_generation
            AND u.mfa_generation = seen_mfa_generation
            AND u.security_counter = seen_security_counter
            AND u.login_counter = coalesce(seen_login_counter, u.login_counter)
            AND u.session_epoch = coalesce(seen_session_epoch, u.session_epoch)
            AND u.state = coalesce(seen_state, u.state)
            AND coalesce(u.expired, FALSE) = coalesce(seen_mark, u.expired, FALSE)
            -- A later step than that was never: a clock ran ahead.
            AND coalesce(u.mfa_last_step < step OR u.mfa_last_step > step + 2, TRUE)
            AND (otp_limit = 0 OR u.otp_failures < otp_limit),
           u.password = coalesce(seen_password, u.password)
            AND coalesce(u.mfa, '') = coalesce(seen_mfa, u.mfa, '')
            AND coalesce(u.pending_mfa, '') = coalesce(seen_pending_mfa, u.pending_mfa, '')
        INTO stands, is_sealed_alike
        FROM public.users_v2 u WHERE u.id = account
        FOR NO KEY UPDATE;
    IF stands IS NOT TRUE THEN
        RETURN 'overtaken';
    ELSIF NOT is_sealed_alike THEN
        RETURN 'resealed';
    ELSIF seen_session IS NOT NULL
        AND EXISTS (SELECT FROM public.ended_sessions e WHERE e.user_id = account AND e.id = seen_session) THEN
        -- Asked once the account is locked: whoever ends a session locks it first.
        RETURN 'session_ended';
    END IF;
    RETURN 'stands';
END $$;
