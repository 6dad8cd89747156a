-- Adds the audit row of an attempt. The row says whether an account had the name at the time, since accounts may be removed.
CREATE FUNCTION cofrap.note_attempt(
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
    is_success bool,
    reason text,
    more jsonb DEFAULT NULL -- what else its details say
) RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- It may be gone by now, and must not go before this is written.
    SELECT u.id INTO account FROM public.users_v2 u WHERE u.id = note_attempt.account FOR KEY SHARE;
    LOOP
        INSERT INTO public.auth_logs_v2 (user_id, action, ip_address, user_agent, success, details, created_at)
        VALUES (account, note_attempt.action, caller_address::inet, agent, is_success,
                jsonb_strip_nulls(jsonb_build_object(
                    'username', given_name, 'known', CASE WHEN given_name IS NOT NULL THEN account IS NOT NULL END,
                    'proof', proof, 'reason', note_attempt.reason, 'route', route)) || coalesce(more, '{}'),
                to_timestamp(moment) AT TIME ZONE 'UTC')
        ON CONFLICT DO NOTHING;
        EXIT WHEN FOUND;
        PERFORM cofrap.catch_up('auth_logs_v2');
    END LOOP;
END $$;
