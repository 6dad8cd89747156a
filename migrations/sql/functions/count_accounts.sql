-- Counts the accounts in one pass, for the gauges of a monitoring system; ages are those at `moment`.
CREATE FUNCTION cofrap.count_accounts(
    operator_proof text,
    moment int8,
    max_age int8, -- of a factor, in seconds
    OUT answer text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    counted jsonb;
BEGIN
    IF NOT cofrap.is_operator(operator_proof) THEN
        answer := '"not_the_operator"';
        RETURN;
    END IF;
    SELECT jsonb_build_object(
        'accounts', jsonb_build_object(
            'disabled', count(*) FILTER (WHERE u.disabled_at IS NOT NULL),
            'provisional', count(*) FILTER (WHERE u.disabled_at IS NULL AND u.state = 'provisional'),
            'active', count(*) FILTER (WHERE u.disabled_at IS NULL AND u.state = 'active')),
        'second_factors', jsonb_build_object(
            'none', count(*) FILTER (WHERE coalesce(u.mfa, '') = ''),
            'unproven', count(*) FILTER (WHERE u.mfa <> '' AND u.state = 'provisional'),
            'in_force', count(*) FILTER (WHERE u.mfa <> '' AND u.state <> 'provisional'),
            'waiting', count(*) FILTER (WHERE u.pending_mfa_gendate > moment - 3600)),
        -- How long until each factor is too old: of accounts that are active.
        'passwords', jsonb_build_object(
            'expired', count(*) FILTER (WHERE a.is_active AND a.password_left < 0),
            '7d', count(*) FILTER (WHERE a.is_active AND a.password_left BETWEEN 0 AND 604799),
            '30d', count(*) FILTER (WHERE a.is_active AND a.password_left BETWEEN 604800 AND 2591999),
            'later', count(*) FILTER (WHERE a.is_active AND a.password_left >= 2592000)),
        'second_factor_ages', jsonb_build_object(
            'expired', count(*) FILTER (WHERE a.is_active AND u.mfa <> '' AND a.mfa_left < 0),
            '7d', count(*) FILTER (WHERE a.is_active AND u.mfa <> '' AND a.mfa_left BETWEEN 0 AND 604799),
            '30d', count(*) FILTER (WHERE a.is_active AND u.mfa <> '' AND a.mfa_left BETWEEN 604800 AND 2591999),
            'later', count(*) FILTER (WHERE a.is_active AND u.mfa <> '' AND a.mfa_left >= 2592000)),
        'flags', jsonb_build_object(
            'marked_expired', count(*) FILTER (WHERE u.expired),
            'unbound', count(*) FILTER (WHERE u.password_binding IS NULL OR u.mfa <> '' AND u.mfa_binding IS NULL)))
        INTO counted
        FROM public.users_v2 u CROSS JOIN LATERAL (
            SELECT u.state = 'active' AND u.disabled_at IS NULL AS is_active, u.gendate + max_age - moment AS password_left,
                   coalesce(u.mfa_gendate, u.gendate) + max_age - moment AS mfa_left) a;
    counted := counted || jsonb_build_object('keys', (
        SELECT coalesce(jsonb_object_agg(k.key, k.secrets), '{}') FROM (
            SELECT s.key, sum(s.secrets)::int8 AS secrets FROM (
                SELECT coalesce(u.password_key, 'none') AS key, count(*) AS secrets FROM public.users_v2 u GROUP BY 1
                UNION ALL SELECT coalesce(u.mfa_key, 'none'), count(*) FROM public.users_v2 u WHERE u.mfa <> '' GROUP BY 1
                UNION ALL SELECT coalesce(h.password_key, 'none'), count(*) FROM public.password_history_v2 h GROUP BY 1
            ) s GROUP BY 1) k));
    INSERT INTO public.account_gauges (counted_at, gauges) VALUES (moment, counted)
        ON CONFLICT ON CONSTRAINT account_gauges_pkey DO UPDATE SET counted_at = excluded.counted_at, gauges = excluded.gauges;
    answer := '{"done":null}';
END $$;
