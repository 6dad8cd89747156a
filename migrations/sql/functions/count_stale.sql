-- How many rows a rotation has left to move, counted no further than `max_count`. Each column is asked through its own index,
-- below the first key, above it, and without a key (a second factor that waits always has one).
CREATE FUNCTION cofrap.count_stale(first_key text, max_count int8) RETURNS int8
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan SET enable_seqscan = off AS $$
DECLARE
    accounts int8;
    history int8;
BEGIN
    SELECT count(*) INTO accounts FROM (
        (SELECT u.id FROM public.users_v2 u WHERE u.password_key < first_key LIMIT max_count)
        UNION (SELECT u.id FROM public.users_v2 u WHERE u.password_key > first_key LIMIT max_count)
        UNION (SELECT u.id FROM public.users_v2 u WHERE u.password_key IS NULL LIMIT max_count)
        UNION (SELECT u.id FROM public.users_v2 u WHERE u.standing_key < first_key LIMIT max_count)
        UNION (SELECT u.id FROM public.users_v2 u WHERE u.standing_key > first_key LIMIT max_count)
        UNION (SELECT u.id FROM public.users_v2 u WHERE u.standing_key IS NULL LIMIT max_count)
        UNION (SELECT u.id FROM public.users_v2 u WHERE u.mfa <> '' AND u.mfa_key < first_key LIMIT max_count)
        UNION (SELECT u.id FROM public.users_v2 u WHERE u.mfa <> '' AND u.mfa_key > first_key LIMIT max_count)
        UNION (SELECT u.id FROM public.users_v2 u WHERE u.mfa <> '' AND u.mfa_key IS NULL LIMIT max_count)
        UNION (SELECT u.id FROM public.users_v2 u
               WHERE u.pending_mfa IS NOT NULL AND u.pending_mfa_key < first_key LIMIT max_count)
        UNION (SELECT u.id FROM public.users_v2 u
               WHERE u.pending_mfa IS NOT NULL AND u.pending_mfa_key > first_key LIMIT max_count)
    ) stale;
    SELECT count(*) INTO history FROM (
        (SELECT FROM public.password_history_v2 h WHERE h.password_key < first_key LIMIT max_count)
        UNION ALL (SELECT FROM public.password_history_v2 h WHERE h.password_key > first_key LIMIT max_count)
        UNION ALL (SELECT FROM public.password_history_v2 h WHERE h.password_key IS NULL LIMIT max_count)
    ) stale;
    RETURN least(accounts + history, max_count);
END $$;
