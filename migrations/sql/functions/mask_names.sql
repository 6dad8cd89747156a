-- Replaces the names that `find_names.sql` found by digests. Returns how many rows it changed. It belongs to the audit's owner.
CREATE FUNCTION cofrap.mask_names(
    operator_proof text,
    moment int8,
    masked text, -- a JSON list of rows
    OUT answer text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    changed int8;
BEGIN
    IF NOT cofrap.is_operator(operator_proof) THEN
        answer := '"not_the_operator"';
        RETURN;
    END IF;
    UPDATE public.auth_logs_v2 l SET details = l.details || jsonb_build_object('masked', TRUE)
            || CASE WHEN m.username LIKE 'digest:%' THEN jsonb_build_object('username', m.username) ELSE '{}' END
            || CASE WHEN l.details -> 'names' IS NULL THEN '{}' ELSE jsonb_build_object('names', coalesce(m.names, '{}')) END
        FROM jsonb_to_recordset(masked::jsonb) AS m (id int8, username text, names jsonb)
        WHERE l.id = m.id AND NOT l.success AND l.user_id IS NULL AND l.details ->> 'masked' IS NULL AND coalesce(l.details ->> 'known', 'false') <> 'true'
              AND l.created_at < to_timestamp(moment - 30 * 86400) AT TIME ZONE 'UTC'
              AND abs(cofrap.clock_offset(moment)) <= 300;
    GET DIAGNOSTICS changed = ROW_COUNT;
    answer := json_build_object('done', changed);
END $$;
