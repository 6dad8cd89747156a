-- Records a refusal because a rate limit was reached before: nothing was checked.
CREATE FUNCTION cofrap.refuse_locked(
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
    locked_subject text, -- what is locked: the caller's address, else the name
    scope text, -- 'address' or 'account'
    OUT answer text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM cofrap.note_locked_attempts();
    PERFORM cofrap.count_locked(action, given_name, caller_address, agent, moment, account, route, locked_subject, scope);
    answer := '{"done":null}';
END $$;
