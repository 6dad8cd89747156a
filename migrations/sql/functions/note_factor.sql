-- Records one right factor, which is no complete login: uses up a code's time step.
CREATE FUNCTION cofrap.note_factor(
    -- Attempt: who asked for what, and when.
    action text,
    given_name text, -- or null
    caller_address text, -- or null
    agent text, -- or null
    moment int8,
    account int8, -- or null
    proof text, -- or null
    route text, -- or null: by which component
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
    otp_limit int8, -- 0: any number
    -- Limits: what is counted, and how much of it there may be.
    issuances_subject text, -- or null: not counted
    issuances_limit int8,
    issuances_window int8,
    address_subject text, -- or null: not counted
    address_added int8,
    address_limit int8,
    address_window int8,
    name_subject text, -- or null: not counted
    name_place text,
    name_effect text,
    name_limit int8,
    first_lock int8,
    longest_lock int8,
    name_memory int8,
    -- Own.
    must_change bool,
    OUT answer text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    outcome text;
    comparison text := cofrap.lock_account(
        account, seen_password_generation, seen_mfa_generation, seen_security_counter, seen_login_counter,
        seen_session_epoch, seen_state, seen_mark, seen_password, seen_mfa, seen_pending_mfa, seen_session, step, otp_limit);
    passes bool;
BEGIN
    -- The caller checks once more, and the attempt is recorded then.
    IF comparison = 'resealed' THEN
        answer := to_json(comparison);
        RETURN;
    END IF;
    passes := cofrap.pass_limits(
        moment, issuances_subject, issuances_limit, issuances_window, address_subject, address_added, address_limit,
        address_window, name_subject, name_place, name_effect, name_limit, first_lock, longest_lock, name_memory);
    IF NOT passes THEN
        outcome := 'too_many_attempts';
    ELSIF comparison <> 'stands' THEN
        outcome := comparison;
    ELSE
        UPDATE public.users_v2 u SET
            mfa_last_step = coalesce(step, u.mfa_last_step),
            identity = coalesce(u.identity, replace(gen_random_uuid()::text, '-', '')),
            -- A password that is right was seen: whoever has the one before need not ask again.
            previous_password = CASE WHEN step IS NOT NULL THEN u.previous_password END,
            previous_password_key = CASE WHEN step IS NOT NULL THEN u.previous_password_key END,
            previous_password_binding = CASE WHEN step IS NOT NULL THEN u.previous_password_binding END,
            previous_password_ends = CASE WHEN step IS NOT NULL THEN u.previous_password_ends END,
            expired_since = CASE WHEN must_change AND u.expired IS NOT TRUE THEN moment ELSE u.expired_since END,
            expired = u.expired IS TRUE OR must_change
            WHERE u.id = account
            RETURNING json_build_object('done', json_build_object(
                'password_generation', u.password_generation, 'mfa_generation', u.mfa_generation,
                'login_counter', u.login_counter, 'security_counter', u.security_counter,
                'session_epoch', u.session_epoch,
                'identity', u.identity || (SELECT i.identity FROM public.installation i WHERE i.place = cofrap.place()))) INTO answer;
        outcome := 'done';
    END IF;
    PERFORM cofrap.note_attempt(
        action, given_name, caller_address, agent, moment, account, proof, route, outcome = 'done', nullif(outcome, 'done'));
    answer := coalesce(answer, to_json(outcome)::text);
END $$;
