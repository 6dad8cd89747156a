-- Creates a provisional account with its first password.
CREATE FUNCTION cofrap.create_account(
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
    name_key text,
    password text,
    password_key text, -- or null
    password_binding text, -- or null
    past_binding text, -- or null
    state text,
    origin text,
    operator_touched bool,
    standing_binding text,
    is_legacy bool,
    place text,
    needed_keys text,
    OUT answer text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    outcome text;
    created int8;
BEGIN
    IF NOT cofrap.pass_limits(
        moment, issuances_subject, issuances_limit, issuances_window, address_subject, address_added, address_limit,
        address_window, name_subject, name_place, name_effect, name_limit, first_lock, longest_lock, name_memory) THEN
        outcome := 'too_many_attempts';
    ELSE
        IF needed_keys <> '' THEN
            PERFORM cofrap.register_keys(needed_keys, moment);
        END IF;
        LOOP
            INSERT INTO public.users_v2 AS u
                (username, username_key, password, password_key, password_binding, gendate, expired, state, origin,
                 operator_touched, standing_key, standing_binding, legacy, password_generation, generated_at,
                 generated_from, created_at, updated_at, identity)
            VALUES (given_name, name_key, create_account.password, create_account.password_key,
                    coalesce(create_account.password_binding, ''), moment, FALSE, create_account.state, create_account.origin,
                    create_account.operator_touched, create_account.password_key, create_account.standing_binding,
                    is_legacy, 1, moment, place, to_timestamp(moment) AT TIME ZONE 'UTC',
                    to_timestamp(moment) AT TIME ZONE 'UTC', replace(gen_random_uuid()::text, '-', ''))
            ON CONFLICT DO NOTHING
            RETURNING u.id, json_build_object('done', json_build_object(
                'password_generation', u.password_generation, 'mfa_generation', u.mfa_generation,
                'login_counter', u.login_counter, 'security_counter', u.security_counter,
                'session_epoch', u.session_epoch,
                'identity', u.identity || (SELECT i.identity FROM public.installation i WHERE i.place = cofrap.place()))) INTO created, answer;
            IF FOUND THEN
                outcome := 'done';
            ELSIF EXISTS (SELECT FROM public.users_v2 u WHERE u.username = given_name OR u.username_key = name_key) THEN
                outcome := 'overtaken';
            END IF;
            EXIT WHEN outcome IS NOT NULL;
            -- The name is free: it was the number that is taken.
            PERFORM cofrap.catch_up('users_v2');
        END LOOP;
    END IF;
    IF outcome = 'done' THEN
        account := created;
        PERFORM cofrap.note_past_password(
            account, create_account.password, create_account.password_key, past_binding, moment);
    END IF;
    PERFORM cofrap.note_attempt(
        action, given_name, caller_address, agent, moment, account, proof, route, outcome = 'done', nullif(outcome, 'done'));
    answer := coalesce(answer, to_json(outcome)::text);
END $$;
