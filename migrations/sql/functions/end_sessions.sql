-- Ends all sessions of an account, if this one was not ended.
CREATE FUNCTION cofrap.end_sessions(
    -- Attempt: who asked for what, and when.
    action text,
    given_name text, -- or null
    caller_address text, -- or null
    agent text, -- or null
    moment int8,
    account int8, -- or null
    proof text, -- or null
    route text, -- or null: by which component
    -- Own.
    seen_session_epoch int8,
    seen_session text,
    OUT answer text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    outcome text := 'overtaken';
BEGIN
    IF cofrap.lock_session(account, seen_session_epoch, seen_session) THEN
        UPDATE public.users_v2 u SET
            session_epoch = u.session_epoch + 1, security_counter = u.security_counter + 1,
            pending_mfa = NULL, pending_mfa_key = NULL, pending_mfa_binding = NULL, pending_mfa_gendate = NULL,
            updated_at = to_timestamp(moment) AT TIME ZONE 'UTC'
            WHERE u.id = account;
        outcome := 'done';
    END IF;
    PERFORM cofrap.note_attempt(
        action, given_name, caller_address, agent, moment, account, proof, route, outcome = 'done', nullif(outcome, 'done'));
    answer := CASE outcome WHEN 'done' THEN '{"done":null}' ELSE to_json(outcome)::text END;
END $$;
