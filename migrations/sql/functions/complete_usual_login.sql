-- Completes a login that changes counters alone: uses up the code's time step, writes the audit row. It does so if nobody has written the
-- account's row since the request read it, the name has no failures, and the address has not too many; else it does nothing and
-- answers `false`, and the caller asks `complete_login.sql`, which locks, compares and counts.
--
-- This is the most frequent call, and writes in two steps what it writes. Whoever counts a failure of the name writes the account's row too
-- (`refuse.sql`): a login that waits for that row here finds another version of it.
CREATE FUNCTION cofrap.complete_usual_login(
    action text,
    caller_address text, -- or null
    agent text, -- or null
    moment int8,
    account int8,
    row_version text,
    step int8, -- or null: no code is used up
    address_subject text, -- or null: not counted
    address_limit int8,
    address_window int8,
    name_subject text, -- or null: not counted
    name_place text,
    place text,
    details text, -- of its audit row
    OUT answer text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE public.users_v2 u SET
        mfa_last_step = coalesce(step, u.mfa_last_step), otp_failures = 0, login_counter = u.login_counter + 1,
        login_places = (ARRAY[complete_usual_login.place] || array_remove(u.login_places, complete_usual_login.place))[1:3],
        updated_at = to_timestamp(moment) AT TIME ZONE 'UTC'
        WHERE u.id = account AND u.xmin::text = row_version
              -- A step that a clock ran ahead for was used all the same; a later one than that was never.
              AND (u.mfa_last_step < step OR u.mfa_last_step > step + 2) IS NOT FALSE
              AND NOT EXISTS (
                  SELECT FROM public.throttles t
                  WHERE t.subject = name_subject AND t.place = name_place AND t.failures > 0
                        OR t.subject = address_subject AND t.place = '' AND t.failures >= address_limit
                           AND t.since + address_window > moment AND t.since <= moment + 30);
    IF NOT FOUND THEN
        answer := 'false';
        RETURN;
    END IF;
    LOOP
        INSERT INTO public.auth_logs_v2 (user_id, action, ip_address, user_agent, success, details, created_at)
        VALUES (account, complete_usual_login.action, caller_address::inet, agent, TRUE, details::jsonb, to_timestamp(moment) AT TIME ZONE 'UTC')
        ON CONFLICT DO NOTHING;
        EXIT WHEN FOUND;
        PERFORM cofrap.catch_up('auth_logs_v2');
    END LOOP;
    answer := 'true';
END $$;
