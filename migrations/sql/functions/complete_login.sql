-- Notes a complete login: the account is active, the code's step is used up, its failures in a row end. Every function that judges
-- locks the account first, so its name's count is only read here; so is the address's, which all logins from behind one proxy
-- would queue for.
--
-- It is what the functions do most. What `lock_account.sql` and `note_attempt.sql` do stands here once more: a call of a function
-- with settings of its own costs as much as a statement.
CREATE FUNCTION cofrap.complete_login(
    -- Attempt: who asked for what, and when.
    action text,
    given_name text, -- or null
    caller_address text, -- or null
    agent text, -- or null
    moment int8,
    account int8, -- or null
    proof text, -- or null
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
    step int8, -- or null: no code is used up
    otp_limit int8, -- 0: any number
    -- Own.
    address_subject text, -- or null: not counted
    address_limit int8,
    address_window int8,
    name_subject text, -- or null: not counted
    name_place text,
    -- Login: what a login that was right changes.
    promotes_pending bool,
    again_password text, -- or null: it stays
    again_password_key text, -- or null: it stays
    again_password_binding text, -- or null: it stays
    again_mfa text, -- or null: it stays
    again_mfa_key text, -- or null: it stays
    again_mfa_binding text, -- or null: it stays
    mfa_born int8,
    needed_keys text,
    -- Own.
    new_state text,
    standing_key text,
    standing_binding text,
    place text,
    OUT answer text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    outcome text;
    stands bool;
    is_locked bool;
    is_counted bool;
BEGIN
    PERFORM FROM public.users_v2 u
        WHERE u.id = account
            AND u.password_generation = seen_password_generation
            AND u.mfa_generation = seen_mfa_generation
            AND u.security_counter = seen_security_counter
            AND u.login_counter = coalesce(seen_login_counter, u.login_counter)
            AND u.session_epoch = coalesce(seen_session_epoch, u.session_epoch)
            AND u.state = coalesce(seen_state, u.state)
            AND coalesce(u.expired, FALSE) = coalesce(seen_mark, u.expired, FALSE)
            AND u.password = coalesce(seen_password, u.password)
            AND coalesce(u.mfa, '') = coalesce(seen_mfa, u.mfa, '')
            AND coalesce(u.pending_mfa, '') = coalesce(seen_pending_mfa, u.pending_mfa, '')
            AND coalesce(u.mfa_last_step < step, TRUE)
            AND (otp_limit = 0 OR u.otp_failures < otp_limit)
        FOR NO KEY UPDATE;
    stands := FOUND;
    SELECT bool_or(t.subject = name_subject AND t.locked_until > moment
                   OR t.subject = address_subject AND t.since + address_window > moment AND t.failures >= address_limit),
           bool_or(t.subject = name_subject)
        INTO is_locked, is_counted
        FROM public.throttles t
        WHERE t.subject = name_subject AND t.place = name_place OR t.subject = address_subject AND t.place = '';
    IF is_locked THEN
        outcome := 'too_many_attempts';
    ELSIF NOT stands THEN
        outcome := 'overtaken';
    ELSE
        IF is_counted THEN
            DELETE FROM public.throttles t WHERE t.subject = name_subject AND t.place = name_place;
        END IF;
        IF needed_keys <> '' THEN
            PERFORM cofrap.register_keys(needed_keys, moment);
        END IF;
        outcome := 'done';
    END IF;
    IF NOT stands THEN
        -- It may be gone by now.
        account := (SELECT u.id FROM public.users_v2 u WHERE u.id = account);
    END IF;
    -- Before the account's own row is written: afterwards its reference to the account would have to be locked anew.
    LOOP
        INSERT INTO public.auth_logs_v2 (user_id, action, ip_address, user_agent, success, details, created_at)
        VALUES (account, complete_login.action, caller_address::inet, agent, outcome = 'done',
                jsonb_strip_nulls(jsonb_build_object(
                    'username', given_name, 'proof', proof, 'reason', nullif(outcome, 'done'))),
                to_timestamp(moment) AT TIME ZONE 'UTC')
        ON CONFLICT DO NOTHING;
        EXIT WHEN FOUND;
        PERFORM cofrap.catch_up('auth_logs_v2');
    END LOOP;
    IF outcome <> 'done' THEN
        answer := to_json(outcome);
        RETURN;
    END IF;

    IF promotes_pending OR again_password IS NOT NULL OR again_mfa IS NOT NULL THEN
        PERFORM cofrap.refresh_secrets(
            account, promotes_pending, again_password, again_password_key, again_password_binding, again_mfa,
            again_mfa_key, again_mfa_binding, mfa_born);
    END IF;
    UPDATE public.users_v2 u SET
        state = new_state, mfa_last_step = coalesce(step, u.mfa_last_step), otp_failures = 0,
        expired = FALSE, expired_since = NULL, login_counter = u.login_counter + 1,
        login_places = (ARRAY[complete_login.place] || array_remove(u.login_places, complete_login.place))[1:3],
        standing_key = complete_login.standing_key, standing_binding = complete_login.standing_binding,
        updated_at = to_timestamp(moment) AT TIME ZONE 'UTC'
        WHERE u.id = account
        RETURNING json_build_object('done', json_build_object(
            'password_generation', u.password_generation, 'mfa_generation', u.mfa_generation,
            'login_counter', u.login_counter, 'security_counter', u.security_counter,
            'session_epoch', u.session_epoch)) INTO answer;
END $$;
