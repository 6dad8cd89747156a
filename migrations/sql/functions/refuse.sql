-- Records a refusal.
CREATE FUNCTION cofrap.refuse(
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
    reason text,
    is_right_password bool, -- and the code was not right, or used before, or missing
    is_wrong_code bool, -- behind a right password
    step int8, -- or null: no code is used up
    otp_limit int8,
    OUT answer text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    outcome text;
    counted int8; -- wrong codes before this attempt
    locks text[]; -- what this attempt locked
BEGIN
    PERFORM cofrap.note_locked_attempts();
    IF name_subject IS NOT NULL OR is_wrong_code OR step IS NOT NULL THEN
        SELECT u.otp_failures INTO counted FROM public.users_v2 u WHERE u.id = account FOR NO KEY UPDATE;
    END IF;
    outcome := 'done';
    IF is_right_password THEN
        -- It was seen: whoever has the one before need not ask again.
        UPDATE public.users_v2 u SET
            previous_password = NULL, previous_password_key = NULL, previous_password_binding = NULL, previous_password_ends = NULL
            WHERE u.id = account AND u.previous_password IS NOT NULL;
    END IF;
    IF NOT cofrap.pass_limits(
        moment, issuances_subject, issuances_limit, issuances_window, address_subject, address_added, address_limit,
        address_window, name_subject, name_place, name_effect, name_limit, first_lock, longest_lock, name_memory) THEN
        -- Somebody else reached the limit meanwhile: it is one more attempt on what is locked.
        PERFORM cofrap.count_locked(
            action, given_name, caller_address, agent, moment, account, route,
            coalesce(CASE WHEN EXISTS (
                SELECT FROM public.throttles t
                WHERE t.subject = name_subject AND t.place = name_place AND t.locked_until > moment) THEN name_subject END,
                address_subject, issuances_subject, name_subject),
            CASE WHEN EXISTS (
                SELECT FROM public.throttles t
                WHERE t.subject = name_subject AND t.place = name_place AND t.locked_until > moment) THEN 'account' ELSE 'address' END);
        answer := '"too_many_attempts"';
        RETURN;
    END IF;
    IF is_wrong_code AND otp_limit > 0 AND counted >= otp_limit THEN
        -- A wrong code that is not counted was one too many.
        outcome := 'too_many_attempts';
    END IF;
    IF name_subject IS NOT NULL OR is_wrong_code OR step IS NOT NULL THEN
        -- Also where nothing of it changes: a login that waits for this row must find another version of it, since it was not alone
        -- (`complete_usual_login.sql`).
        UPDATE public.users_v2 u SET
            otp_failures = u.otp_failures + (is_wrong_code AND outcome = 'done')::int4,
            mfa_last_step = CASE WHEN u.mfa_last_step > step + 2 THEN step ELSE greatest(u.mfa_last_step, step) END
            WHERE u.id = account;
    END IF;
    IF outcome = 'done' THEN
        -- It passed the limits, so nothing was locked before it: what is locked now, it locked.
        locks := array_remove(ARRAY[
            CASE WHEN name_effect = 'count' AND EXISTS (
                SELECT FROM public.throttles t
                WHERE t.subject = name_subject AND t.place = name_place AND t.locked_until > moment) THEN 'account' END,
            CASE WHEN name_effect = 'count' AND EXISTS (
                SELECT FROM public.throttles t
                WHERE t.subject = name_subject AND t.place = name_place AND t.locked_until > moment AND t.failures >= name_limit + 3)
                THEN 'account_again' END,
            CASE WHEN address_added > 0 AND EXISTS (
                SELECT FROM public.throttles t
                WHERE t.subject = address_subject AND t.place = '' AND t.failures >= address_limit) THEN 'address' END,
            CASE WHEN is_wrong_code AND otp_limit > 0 AND EXISTS (
                SELECT FROM public.users_v2 u WHERE u.id = account AND u.otp_failures >= otp_limit) THEN 'codes' END], NULL);
    END IF;
    PERFORM cofrap.note_attempt(
        action, given_name, caller_address, agent, moment, account, proof, route, FALSE,
        CASE outcome WHEN 'done' THEN reason ELSE outcome END,
        CASE WHEN locks <> '{}' THEN jsonb_build_object('locks', to_jsonb(locks)) END);
    answer := CASE outcome WHEN 'done' THEN '{"done":null}' ELSE to_json(outcome)::text END;
END $$;
