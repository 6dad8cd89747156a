-- Ends one session of an account, with all tokens that it was renewed with, if it was not ended.
CREATE FUNCTION cofrap.end_session(
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
    ends_at int8, -- from when on it would not hold anyway
    OUT answer text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    outcome text := 'overtaken';
BEGIN
    IF cofrap.lock_session(account, seen_session_epoch, seen_session) THEN
        INSERT INTO public.ended_sessions (user_id, id, ends_at) VALUES (account, seen_session, end_session.ends_at);
        -- Who fills the table empties it; a day late, since a clock that runs ahead must revive none.
        DELETE FROM public.ended_sessions WHERE (user_id, id) IN (
            SELECT e.user_id, e.id FROM public.ended_sessions e
            WHERE e.ends_at < moment - 86400 ORDER BY e.ends_at LIMIT 4 FOR UPDATE SKIP LOCKED);
        outcome := 'done';
    END IF;
    PERFORM cofrap.note_attempt(
        action, given_name, caller_address, agent, moment, account, proof, route, outcome = 'done', nullif(outcome, 'done'));
    answer := CASE outcome WHEN 'done' THEN '{"done":null}' ELSE to_json(outcome)::text END;
END $$;
