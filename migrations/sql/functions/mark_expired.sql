-- Records a login whose right credentials are too old: marks the account as expired, uses up the code's time step. It is no success.
CREATE FUNCTION cofrap.mark_expired(
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
    -- Login: what a login that was right changes.
    promotes_pending bool,
    again_password text, -- or null: it stays
    again_password_key text, -- or null: it stays
    again_password_binding text, -- or null: it stays
    again_mfa text, -- or null: it stays
    again_mfa_key text, -- or null: it stays
    again_mfa_binding text, -- or null: it stays
    mfa_issued_at int8,
    needed_keys text,
    -- Own.
    marked_since int8, -- or null
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
        IF needed_keys <> '' THEN
            PERFORM cofrap.register_keys(needed_keys, moment);
        END IF;
        IF promotes_pending OR again_password IS NOT NULL OR again_mfa IS NOT NULL THEN
            PERFORM cofrap.refresh_secrets(
                account, promotes_pending, again_password, again_password_key, again_password_binding, again_mfa,
                again_mfa_key, again_mfa_binding, mfa_issued_at);
        END IF;
        UPDATE public.users_v2 u SET
            mfa_last_step = coalesce(step, u.mfa_last_step),
            identity = coalesce(u.identity, replace(gen_random_uuid()::text, '-', '')),
            previous_password = NULL, previous_password_key = NULL, previous_password_binding = NULL, previous_password_ends = NULL,
            expired = TRUE, expired_since = marked_since, login_counter = u.login_counter + 1,
            updated_at = to_timestamp(moment) AT TIME ZONE 'UTC'
            WHERE u.id = account
            RETURNING json_build_object('done', json_build_object(
                'password_generation', u.password_generation, 'mfa_generation', u.mfa_generation,
                'login_counter', u.login_counter, 'security_counter', u.security_counter,
                'session_epoch', u.session_epoch,
                'identity', u.identity || (SELECT i.identity FROM public.installation i WHERE i.place = cofrap.place()))) INTO answer;
        UPDATE public.password_history_v2 h SET expired = TRUE WHERE h.user_id = account AND h.expired IS NOT TRUE;
        outcome := 'done';
    END IF;
    PERFORM cofrap.note_attempt(
        action, given_name, caller_address, agent, moment, account, proof, route, FALSE,
        CASE outcome WHEN 'done' THEN 'expired' ELSE outcome END);
    answer := coalesce(answer, to_json(outcome)::text);
END $$;
