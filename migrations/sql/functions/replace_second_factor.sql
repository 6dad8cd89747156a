-- Replaces an account's second factor, or adds one that waits for its first code.
CREATE FUNCTION cofrap.replace_second_factor(
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
    -- Change: what every replacement of a credential changes besides.
    key text, -- or null
    is_renewal bool,
    operator_touched bool,
    standing_binding text,
    is_marked bool,
    marked_since int8, -- or null
    is_legacy bool,
    previous text, -- what becomes of the password before the present one: 'kept', 'forgotten', or 'replaced' by the present one
    place text,
    needed_keys text,
    -- Own.
    new_mfa text,
    new_mfa_binding text, -- or null
    waits bool,
    OUT answer text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    outcome text;
    comparison text := cofrap.lock_account(
        account, seen_password_generation, seen_mfa_generation, seen_security_counter, seen_login_counter,
        seen_session_epoch, seen_state, seen_mark, seen_password, seen_mfa, seen_pending_mfa, seen_session, step, otp_limit);
    passes bool := cofrap.pass_limits(
        moment, issuances_subject, issuances_limit, issuances_window, address_subject, address_added, address_limit,
        address_window, name_subject, name_place, name_effect, name_limit, first_lock, longest_lock, name_memory);
BEGIN
    IF comparison = 'stands' AND proof = 'previous_credentials'
        AND NOT EXISTS (SELECT FROM public.users_v2 u WHERE u.id = account AND u.previous_password_ends >= moment) THEN
        -- The new password was used meanwhile.
        comparison := 'overtaken';
    END IF;
    IF NOT passes THEN
        outcome := 'too_many_attempts';
    ELSIF comparison <> 'stands' THEN
        outcome := CASE comparison WHEN 'session_ended' THEN comparison ELSE 'overtaken' END;
    ELSE
        IF needed_keys <> '' THEN
            PERFORM cofrap.register_keys(needed_keys, moment);
        END IF;
        UPDATE public.users_v2 u SET
            mfa = CASE WHEN waits THEN u.mfa ELSE new_mfa END,
            mfa_key = CASE WHEN waits THEN u.mfa_key ELSE key END,
            mfa_binding = CASE WHEN waits THEN u.mfa_binding ELSE coalesce(new_mfa_binding, '') END,
            mfa_gendate = CASE WHEN waits THEN u.mfa_gendate ELSE moment END,
            mfa_generation = u.mfa_generation + (NOT waits)::int4,
            enrolment_ends = CASE WHEN waits THEN u.enrolment_ends END,
            session_epoch = u.session_epoch + (NOT waits)::int4,
            pending_mfa = CASE WHEN waits THEN new_mfa END,
            pending_mfa_key = CASE WHEN waits THEN key END,
            pending_mfa_binding = CASE WHEN waits THEN coalesce(new_mfa_binding, '') END,
            pending_mfa_gendate = CASE WHEN waits THEN moment END,
            security_counter = u.security_counter + (NOT is_renewal)::int4,
            mfa_last_step = CASE WHEN u.mfa_last_step > step + 2 THEN step ELSE greatest(u.mfa_last_step, step) END,
            otp_failures = CASE WHEN is_renewal OR step IS NOT NULL THEN 0 ELSE u.otp_failures END,
            operator_touched = replace_second_factor.operator_touched,
            standing_key = key, standing_binding = replace_second_factor.standing_binding,
            expired = is_marked, expired_since = marked_since, legacy = u.legacy OR is_legacy,
            previous_password = CASE previous WHEN 'kept' THEN u.previous_password END,
            previous_password_key = CASE previous WHEN 'kept' THEN u.previous_password_key END,
            previous_password_binding = CASE previous WHEN 'kept' THEN u.previous_password_binding END,
            previous_password_ends = CASE previous WHEN 'kept' THEN u.previous_password_ends END,
            generated_at = moment, generated_from = coalesce(u.generated_from, place),
            updated_at = to_timestamp(moment) AT TIME ZONE 'UTC'
            WHERE u.id = account
            RETURNING json_build_object('done', json_build_object(
                'password_generation', u.password_generation, 'mfa_generation', u.mfa_generation,
                'login_counter', u.login_counter, 'security_counter', u.security_counter,
                'session_epoch', u.session_epoch)) INTO answer;
        outcome := 'done';
    END IF;
    PERFORM cofrap.note_attempt(
        action, given_name, caller_address, agent, moment, account, proof, route, outcome = 'done', nullif(outcome, 'done'));
    answer := coalesce(answer, to_json(outcome)::text);
END $$;
