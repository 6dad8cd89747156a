-- The keys that stored secrets need, by name, and some tokens that other programs wrote: which key those need shows when one opens.
CREATE FUNCTION cofrap.stored_keys(OUT registered_keys text, OUT foreign_tokens text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    SELECT string_agg(k.id, ',') INTO registered_keys FROM public.encryption_keys k;
    SELECT string_agg(newest.password, ',') INTO foreign_tokens
        FROM (
            SELECT u.password FROM public.users_v2 u
            WHERE u.password_key IS NULL AND length(u.password) >= 100 AND u.password LIKE 'gAAAAA%'
            ORDER BY u.id DESC LIMIT 3
        ) newest;
END $$;
