-- Completes a login that changes more than counters: the first one, the first with a new second factor, one whose secrets are encrypted again,
-- one that clears a mark. The usual case is `complete_usual_login.sql`.
CREATE FUNCTION cofrap.complete_login(
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
    new_state text,
    standing_key text,
    standing_binding text,
    place text,
    session text, -- or null: none is given
    OUT answer text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    outcome text;
    epoch int8;
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
        address_window, name_subject, name_place, CASE comparison WHEN 'stands' THEN name_effect ELSE 'keep' END, name_limit, first_lock, longest_lock, name_memory);
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
            identity = coalesce(u.identity, replace(gen_random_uuid()::text, '-', '')),
            state = new_state, mfa_last_step = coalesce(step, u.mfa_last_step), otp_failures = 0,
            previous_password = NULL, previous_password_key = NULL, previous_password_binding = NULL, previous_password_ends = NULL,
            expired = FALSE, expired_since = NULL, login_counter = u.login_counter + 1,
            login_places = (ARRAY[complete_login.place] || array_remove(u.login_places, complete_login.place))[1:3],
            standing_key = complete_login.standing_key, standing_binding = complete_login.standing_binding,
            updated_at = to_timestamp(moment) AT TIME ZONE 'UTC'
            WHERE u.id = account
            RETURNING json_build_object('done', json_build_object(
                'password_generation', u.password_generation, 'mfa_generation', u.mfa_generation,
                'login_counter', u.login_counter, 'security_counter', u.security_counter,
                'session_epoch', u.session_epoch,
                'identity', u.identity || (SELECT i.identity FROM public.installation i WHERE i.place = cofrap.place()))), u.session_epoch INTO answer, epoch;
        DELETE FROM public.throttles t WHERE t.subject = name_subject AND t.place = name_place;
        outcome := 'done';
    END IF;
    PERFORM cofrap.note_attempt(
        action, given_name, caller_address, agent, moment, account, proof, route, outcome = 'done', nullif(outcome, 'done'),
        CASE WHEN outcome = 'done' AND session IS NOT NULL THEN jsonb_build_object('session', session, 'epoch', epoch) END);
    answer := coalesce(answer, to_json(outcome)::text);
END $$;
