-- Forgets the keys, but for the first, that no row needs any more. Rows of other programs may need any.
CREATE FUNCTION cofrap.forget_keys(first_key text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan SET enable_seqscan = off AS $$
BEGIN
    IF EXISTS (SELECT FROM public.users_v2 u WHERE u.password_key IS NULL)
        OR EXISTS (SELECT FROM public.users_v2 u WHERE u.mfa <> '' AND u.mfa_key IS NULL)
        OR EXISTS (SELECT FROM public.password_history_v2 h WHERE h.password_key IS NULL) THEN
        RETURN;
    END IF;
    DELETE FROM public.encryption_keys k
    WHERE k.id <> first_key
        AND NOT EXISTS (SELECT FROM public.users_v2 u WHERE u.password_key = k.id)
        AND NOT EXISTS (SELECT FROM public.users_v2 u WHERE u.mfa_key = k.id)
        AND NOT EXISTS (SELECT FROM public.users_v2 u WHERE u.pending_mfa_key = k.id)
        AND NOT EXISTS (SELECT FROM public.users_v2 u WHERE u.standing_key = k.id)
        AND NOT EXISTS (SELECT FROM public.password_history_v2 h WHERE h.password_key = k.id);
END $$;
