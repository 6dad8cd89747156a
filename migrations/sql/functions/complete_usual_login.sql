-- Completes a login that changes counters alone: uses up the code's time step, ends failures in a row. Every function that checks credentials
-- locks the account first, so that the name's count is only read here; so is the address's, which all logins behind one proxy
-- would wait for.
--
-- This is the most frequent call. It checks only what makes a login a usual one, and repeats the steps of
-- `note_attempt.sql`, because a call of a function with settings of its own costs as much as a statement. The
-- caller formats the details of the audit row, which costs less there.
CREATE FUNCTION cofrap.complete_usual_login(
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
    seen_password_generation int8,
    seen_mfa_generation int8,
    seen_security_counter int8,
    seen_login_counter int8, -- or null: not compared
    seen_password text,
    seen_mfa text, -- empty where there is none
    step int8, -- or null: no code is used up
    otp_limit int8, -- 0: any number
    address_subject text, -- or null: not counted
    address_limit int8,
    address_window int8,
    name_subject text, -- or null: not counted
    name_place text,
    place text,
    details text, -- of its audit row, if it is done
    OUT answer text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    outcome text := 'done';
    stands bool;
    is_sealed_alike bool;
    is_locked bool;
    is_counted bool;
BEGIN
    SELECT u.password_generation = seen_password_generation AND u.mfa_generation = seen_mfa_generation
            AND u.security_counter = seen_security_counter AND (u.login_counter = seen_login_counter) IS NOT FALSE
            AND u.state = 'active' AND u.expired IS NOT TRUE
            AND (u.mfa_last_step < step OR u.mfa_last_step > step + 2) IS NOT FALSE AND (otp_limit = 0 OR u.otp_failures < otp_limit),
           u.password = seen_password AND coalesce(u.mfa, '') = seen_mfa
        INTO stands, is_sealed_alike
        FROM public.users_v2 u WHERE u.id = account
        FOR NO KEY UPDATE;
    IF stands AND NOT is_sealed_alike THEN
        -- The caller checks once more, and the attempt is recorded then.
        answer := '"resealed"';
        RETURN;
    END IF;
    stands := coalesce(stands, FALSE);
    SELECT bool_or(t.subject = name_subject AND t.locked_until > moment AND t.locked_until <= moment + 930
                   OR t.subject = address_subject AND t.since + address_window > moment AND t.since <= moment + 30 AND t.failures >= address_limit),
           bool_or(t.subject = name_subject)
        INTO is_locked, is_counted
        FROM public.throttles t
        WHERE t.subject = name_subject AND t.place = name_place OR t.subject = address_subject AND t.place = '';
    IF is_locked THEN
        outcome := 'too_many_attempts';
    ELSIF NOT stands THEN
        outcome := 'overtaken';
    ELSIF is_counted THEN
        DELETE FROM public.throttles t WHERE t.subject = name_subject AND t.place = name_place;
    END IF;
    IF NOT stands THEN
        -- It may be gone by now.
        account := (SELECT u.id FROM public.users_v2 u WHERE u.id = account);
    END IF;
    -- Before the account's own row is written: afterwards its reference to the account would have to be locked anew.
    LOOP
        INSERT INTO public.auth_logs_v2 (user_id, action, ip_address, user_agent, success, details, created_at)
        VALUES (account, complete_usual_login.action, caller_address::inet, agent, outcome = 'done',
                CASE outcome WHEN 'done' THEN details::jsonb ELSE
                    details::jsonb - 'session' - 'epoch' || jsonb_build_object('known', account IS NOT NULL, 'reason', outcome)
                END,
                to_timestamp(moment) AT TIME ZONE 'UTC')
        ON CONFLICT DO NOTHING;
        EXIT WHEN FOUND;
        PERFORM cofrap.catch_up('auth_logs_v2');
    END LOOP;
    IF outcome <> 'done' THEN
        answer := to_json(outcome);
        RETURN;
    END IF;

    UPDATE public.users_v2 u SET
        mfa_last_step = coalesce(step, u.mfa_last_step), otp_failures = 0, login_counter = u.login_counter + 1,
        login_places = (ARRAY[complete_usual_login.place] || array_remove(u.login_places, complete_usual_login.place))[1:3],
        updated_at = to_timestamp(moment) AT TIME ZONE 'UTC'
        WHERE u.id = account
        RETURNING json_build_object('done', json_build_object(
            'password_generation', u.password_generation, 'mfa_generation', u.mfa_generation,
            'login_counter', u.login_counter, 'security_counter', u.security_counter,
            'session_epoch', u.session_epoch)) INTO answer;
END $$;
