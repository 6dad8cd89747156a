-- The metrics. Attempts are the totals, the rows since then, and locked attempts whose minute is not over. One
-- snapshot has all three, so that an attempt that moves between them is counted once.
CREATE FUNCTION cofrap.read_metrics(
    moment int8,
    OUT answer text
) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
-- The new rows are few, which the statistics do not show: without these settings the planner would read whole tables, and compile the query.
SET enable_seqscan = off SET jit = off AS $$
BEGIN
    SELECT json_build_object(
        'attempts', (
            SELECT coalesce(json_agg(json_build_object(
                'action', c.action, 'route', c.route, 'success', c.success, 'reason', c.reason, 'locks', c.locks, 'total', c.total)), '[]')
            FROM (
                SELECT a.action, a.route, a.success, a.reason, a.locks, sum(a.attempts)::int8 AS total FROM (
                    SELECT t.action, t.route, t.success, t.reason, t.locks, t.total AS attempts FROM public.attempt_totals t
                    UNION ALL
                    SELECT n.action, n.route, n.success, n.reason, n.locks, n.attempts FROM public.audited_attempts n
                    WHERE n.xact_id >= (SELECT r.counted_to FROM public.attempt_rollup r)
                    UNION ALL
                    SELECT split_part(k.key, ' ', 1), split_part(k.key, ' ', 2), FALSE, 'too_many_attempts', '', k.value::int8
                    FROM public.locked_attempts s CROSS JOIN LATERAL jsonb_each_text(s.kinds) k
                ) a GROUP BY 1, 2, 3, 4, 5
            ) c),
        'sequences', (
            SELECT json_agg(json_build_object('table', n.numbered, 'last', coalesce(pg_sequence_last_value(s.oid), 0), 'largest', n.largest))
            FROM (VALUES ('users_v2', 2147483647), ('password_history_v2', 2147483647), ('auth_logs_v2', 9223372036854775807)) AS n (numbered, largest)
            CROSS JOIN LATERAL (SELECT pg_get_serial_sequence('public.' || n.numbered, 'id')::regclass AS oid) s),
        'audit_rows', (
            SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::int8 FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = 'public.auth_logs_v2'::regclass),
        'audit_bytes', (
            SELECT coalesce(sum(pg_total_relation_size(i.inhrelid)), 0)::int8 FROM pg_inherits i
            WHERE i.inhparent = 'public.auth_logs_v2'::regclass),
        'database_bytes', pg_database_size(current_database()),
        'uncounted_transactions', (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::int8 - r.counted_to FROM public.attempt_rollup r),
        'clock_offset', cofrap.clock_offset(moment),
        'connections', (SELECT count(*) FROM pg_stat_activity a WHERE a.datid IS NOT NULL),
        'connections_limit', current_setting('max_connections')::int8,
        'gauges', (SELECT g.gauges FROM public.account_gauges g),
        'gauges_at', (SELECT g.counted_at FROM public.account_gauges g)
    ) INTO answer;
END $$;
