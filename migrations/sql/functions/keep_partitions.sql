-- Makes the audit's partitions of this month and the next three, and drops those in which every row is older than it is kept; what it did,
-- as a JSON object. It belongs to the audit's owner, and is the only function that puts statements together: of names that it makes itself.
CREATE FUNCTION cofrap.keep_partitions(
    operator_proof text,
    moment int8,
    refusals_days int8, -- 0: for ever
    actions_days int8, -- 0: for ever
    OUT answer text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '500ms' SET timezone = 'UTC' AS $$
DECLARE
    this_month timestamp := date_trunc('month', to_timestamp(-cofrap.clock_offset(0)) AT TIME ZONE 'UTC');
    months timestamp;
    kept_from timestamp;
    part record;
    made text[] := '{}';
    dropped text[] := '{}';
    busy text[] := '{}';
    is_counted bool;
BEGIN
    IF NOT cofrap.is_operator(operator_proof) THEN
        answer := '"not_the_operator"';
        RETURN;
    END IF;
    IF NOT pg_try_advisory_xact_lock('public.auth_logs_v2'::regclass::oid::int8) THEN
        answer := '{"done":{"made":[],"dropped":[],"busy":["another request keeps the partitions"]}}';
        RETURN;
    END IF;
    FOR months IN SELECT this_month + make_interval(months => n) FROM generate_series(0, 3) AS n LOOP
        CONTINUE WHEN EXISTS (
            SELECT FROM cofrap_audit.partitions p WHERE p.starts <= months AND p.ends > months);
        BEGIN
            -- What came early lies in the partition of what has no month.
            LOCK TABLE cofrap_audit.other IN ACCESS EXCLUSIVE MODE;
            EXECUTE format(
                'CREATE TABLE cofrap_audit.%1$I (LIKE public.auth_logs_v2 INCLUDING DEFAULTS);
                 CREATE UNIQUE INDEX ON cofrap_audit.%1$I (id);
                 WITH early AS (DELETE FROM cofrap_audit.other o WHERE o.created_at >= %2$L AND o.created_at < %3$L RETURNING to_jsonb(o) AS entry)
                 INSERT INTO cofrap_audit.%1$I SELECT r.* FROM early e, jsonb_populate_record(NULL::cofrap_audit.%1$I, e.entry) r;
                 ALTER TABLE public.auth_logs_v2 ATTACH PARTITION cofrap_audit.%1$I FOR VALUES FROM (%2$L) TO (%3$L)',
                'month_' || to_char(months, 'YYYY_MM'), months, months + interval '1 month');
            made := made || ('month_' || to_char(months, 'YYYY_MM'));
        EXCEPTION WHEN lock_not_available OR invalid_object_definition OR duplicate_table THEN
            -- Others use it, or somebody has a partition of their own there.
            busy := busy || ('month_' || to_char(months, 'YYYY_MM'));
        END;
    END LOOP;

    -- One thing at a time: making one locks the accounts until this is over, and dropping one the audit.
    -- With a clock that is wrong nothing goes; nor does anything of the last 30 days, whatever is asked.
    IF made = '{}' AND refusals_days > 0 AND actions_days > 0 AND abs(cofrap.clock_offset(moment)) <= 300 THEN
        kept_from := to_timestamp(moment - 86400 * greatest(30, refusals_days, actions_days)) AT TIME ZONE 'UTC';
        FOR part IN SELECT p.name FROM cofrap_audit.partitions p WHERE p.ends <= kept_from LOOP
            BEGIN
                EXECUTE format('SELECT NOT EXISTS (SELECT FROM cofrap_audit.%I l, public.attempt_rollup r WHERE l.xact_id >= r.counted_to)', part.name)
                    INTO is_counted;
                IF is_counted THEN
                    EXECUTE format('DROP TABLE cofrap_audit.%I', part.name);
                    dropped := dropped || part.name;
                END IF;
            EXCEPTION WHEN lock_not_available THEN
                busy := busy || part.name;
            END;
            EXIT WHEN busy <> '{}';
        END LOOP;
    END IF;
    answer := json_build_object('done', json_build_object('made', made, 'dropped', dropped, 'busy', busy));
END $$;
