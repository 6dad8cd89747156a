-- Carries out an operator's action on an account.
CREATE FUNCTION cofrap.administer(
    -- Attempt: who asked for what, and when.
    action text,
    given_name text, -- or null
    caller_address text, -- or null
    agent text, -- or null
    moment int8,
    account int8, -- or null
    proof text, -- or null
    route text, -- or null: by which component
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
    operator_proof text,
    unlocked_subject text,
    is_disabled bool,
    standing_key text,
    standing_binding text,
    seen_security_counter int8,
    seen_state text,
    needed_keys text,
    OUT answer text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    outcome text;
    stands bool;
    passes bool;
    resets_mfa bool := action = '2fa_reset';
BEGIN
    IF NOT cofrap.admit_operator(operator_proof) THEN
        answer := '"not_the_operator"';
        RETURN;
    END IF;
    PERFORM FROM public.users_v2 u
        WHERE u.id = account AND u.security_counter = seen_security_counter AND u.state = seen_state
        FOR NO KEY UPDATE;
    stands := FOUND;
    passes := cofrap.pass_limits(
        moment, issuances_subject, issuances_limit, issuances_window, address_subject, address_added, address_limit,
        address_window, name_subject, name_place, name_effect, name_limit, first_lock, longest_lock, name_memory);
    IF NOT passes THEN
        outcome := 'too_many_attempts';
    ELSIF NOT stands THEN
        outcome := 'overtaken';
    ELSE
        IF action = 'account_unlocked' THEN
            DELETE FROM public.throttles t WHERE t.subject = unlocked_subject;
        END IF;
        IF needed_keys <> '' THEN
            PERFORM cofrap.register_keys(needed_keys, moment);
        END IF;
        UPDATE public.users_v2 u SET
            disabled_at = CASE WHEN is_disabled THEN coalesce(u.disabled_at, moment) END,
            expired = coalesce(u.expired, FALSE) OR action = 'account_expired',
            expired_since = CASE WHEN action = 'account_expired' THEN moment ELSE u.expired_since END,
            mfa = CASE WHEN NOT resets_mfa THEN u.mfa END,
            mfa_key = CASE WHEN NOT resets_mfa THEN u.mfa_key END,
            mfa_binding = CASE WHEN NOT resets_mfa THEN u.mfa_binding END,
            mfa_gendate = CASE WHEN NOT resets_mfa THEN u.mfa_gendate END,
            mfa_generation = u.mfa_generation + resets_mfa::int4,
            enrolment_ends = CASE WHEN resets_mfa THEN moment + 86400 ELSE u.enrolment_ends END,
            otp_failures = CASE WHEN action = 'account_unlocked' THEN 0 ELSE u.otp_failures END,
            pending_mfa = NULL, pending_mfa_key = NULL, pending_mfa_binding = NULL, pending_mfa_gendate = NULL,
            previous_password = NULL, previous_password_key = NULL, previous_password_binding = NULL, previous_password_ends = NULL,
            security_counter = u.security_counter + 1,
            session_epoch = u.session_epoch + (action NOT IN ('account_unlocked', 'account_enabled'))::int4,
            operator_touched = TRUE,
            standing_key = administer.standing_key, standing_binding = administer.standing_binding,
            updated_at = to_timestamp(moment) AT TIME ZONE 'UTC'
            WHERE u.id = account;
        outcome := 'done';
    END IF;
    PERFORM cofrap.note_attempt(
        action, given_name, caller_address, agent, moment, account, proof, route, outcome = 'done', nullif(outcome, 'done'));
    answer := CASE outcome WHEN 'done' THEN '{"done":null}' ELSE to_json(outcome)::text END;
END $$;
