-- Writes one audit row for each locked name or address and minute that is over, and deletes its counters in the same transaction. Returns how
-- many rows, at most 20. A minute is over 90 seconds after its first attempt, by the database's clock, because the functions' clocks may differ. One
-- request at a time does this; the others go on.
CREATE FUNCTION cofrap.note_locked_attempts() RETURNS int8
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    due record;
    noted record;
    written int8 := 0;
    over int8 := (-cofrap.clock_offset(0))::int8 - 90;
BEGIN
    IF NOT EXISTS (SELECT FROM public.locked_attempts s WHERE s.counted_since <= over)
        OR NOT pg_try_advisory_xact_lock('public.locked_attempts'::regclass::oid::int8) THEN
        RETURN 0;
    END IF;
    FOR due IN
        SELECT DISTINCT s.minute, s.subject FROM public.locked_attempts s
        WHERE s.counted_since <= over ORDER BY s.minute LIMIT 20
    LOOP
        WITH gone AS (
            DELETE FROM public.locked_attempts s WHERE s.subject = due.subject AND s.minute = due.minute RETURNING s.*
        ), kinds AS (
            SELECT k.key AS kind, sum(k.value::int8)::int8 AS attempts FROM gone g, jsonb_each_text(g.kinds) k GROUP BY 1
        ), names AS (
            SELECT n.key AS name, bool_or(n.value::bool) AS is_known FROM gone g, jsonb_each_text(g.names) n GROUP BY 1
        ), shown AS (
            SELECT n.name, n.is_known FROM names n ORDER BY n.is_known DESC, n.name LIMIT 20
        )
        SELECT (SELECT sum(g.attempts)::int8 FROM gone g) AS attempts,
               (SELECT max(g.scope) FROM gone g) AS scope,
               (SELECT max(g.last_at) FROM gone g) AS last_at,
               (SELECT CASE WHEN count(*) = count(g.user_id) AND count(DISTINCT g.user_id) = 1 THEN max(g.user_id) END FROM gone g) AS account,
               (SELECT CASE WHEN count(*) = count(g.ip_address) AND count(DISTINCT g.ip_address) = 1 THEN host(max(g.ip_address)) END
                FROM gone g) AS address,
               (SELECT CASE WHEN count(*) = count(g.user_agent) AND count(DISTINCT g.user_agent) = 1 THEN max(g.user_agent) END
                FROM gone g) AS agent,
               (SELECT k.kind FROM kinds k ORDER BY k.attempts DESC, k.kind LIMIT 1) AS main_kind,
               (SELECT jsonb_object_agg(k.kind, k.attempts) FROM kinds k) AS kinds,
               (SELECT jsonb_object_agg(s.name, s.is_known) FROM shown s) AS names,
               (SELECT min(n.name) FROM names n) AS first_name,
               (SELECT count(*) FROM names n) AS name_count,
               (SELECT coalesce(sum(g.more_names), 0)::int8 FROM gone g) AS more_names
            INTO noted;
        CONTINUE WHEN noted.attempts IS NULL;
        PERFORM cofrap.note_attempt(
            split_part(noted.main_kind, ' ', 1),
            CASE WHEN noted.name_count = 1 AND noted.more_names = 0 THEN noted.first_name END,
            noted.address, noted.agent, noted.last_at, noted.account, NULL, nullif(split_part(noted.main_kind, ' ', 2), ''),
            FALSE, 'too_many_attempts',
            jsonb_build_object('scope', noted.scope, 'attempts', noted.attempts, 'kinds', noted.kinds)
            || CASE WHEN noted.name_count + noted.more_names > 1 THEN jsonb_build_object('names', noted.names) ELSE '{}' END
            || CASE WHEN noted.name_count > 20 OR noted.more_names > 0
                    THEN jsonb_build_object('more_names', greatest(noted.name_count - 20, 0) + noted.more_names) ELSE '{}' END);
        written := written + 1;
    END LOOP;
    RETURN written;
END $$;
