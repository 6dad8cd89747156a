-- Rows of the audit with names that no account had, as JSON, once they are 30 days old: what is typed for a name may be a password, or say who
-- somebody is.
CREATE FUNCTION cofrap.find_names(
    operator_proof text,
    moment int8,
    max_rows int8,
    OUT answer text
) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
BEGIN
    IF NOT cofrap.is_operator(operator_proof) THEN
        answer := '"not_the_operator"';
        RETURN;
    END IF;
    SELECT json_build_object('done', coalesce(json_agg(json_build_object(
            'id', l.id, 'username', l.details ->> 'username',
            -- Who wrote the row without saying so may have known the name.
            'known', l.details ->> 'known' IS NULL AND EXISTS (SELECT FROM public.users_v2 u WHERE u.username = l.details ->> 'username'),
            'names', (SELECT json_object_agg(n.key, n.value) FROM jsonb_each(CASE WHEN jsonb_typeof(l.details -> 'names') = 'object'
                                                                                  THEN l.details -> 'names' ELSE '{}' END) n
                      WHERE jsonb_typeof(n.value) = 'boolean'))), '[]'))
        INTO answer FROM (
            SELECT a.id, a.details FROM public.auth_logs_v2 a
            WHERE NOT a.success AND a.user_id IS NULL AND a.details ->> 'masked' IS NULL AND coalesce(a.details ->> 'known', 'false') <> 'true'
                  AND (a.details ->> 'username' IS NOT NULL OR a.details ->> 'names' IS NOT NULL)
                  AND a.created_at < to_timestamp(moment - 30 * 86400) AT TIME ZONE 'UTC'
                  AND abs(cofrap.clock_offset(moment)) <= 300
            ORDER BY a.created_at LIMIT max_rows) l;
END $$;
