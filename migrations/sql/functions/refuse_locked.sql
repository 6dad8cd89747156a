-- Notes an attempt that was not judged, because a limit was reached before: by an insert alone, nothing is counted or locked.
CREATE FUNCTION cofrap.refuse_locked(
    -- Attempt: who asked for what, and when.
    action text,
    given_name text, -- or null
    caller_address text, -- or null
    agent text, -- or null
    moment int8,
    account int8, -- or null
    proof text, -- or null
    OUT answer text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM cofrap.note_attempt(
        action, given_name, caller_address, agent, moment, account, proof, FALSE, 'too_many_attempts');
    answer := '{"done":null}';
END $$;
