-- An audit that lasts: partitioned by month, with 64-bit numbers, and counted. The runner has prepared the old table
-- (`migrations/src/audit_table.rs`), so that nothing here looks at its rows while it is locked.

-- What was attempted, counted: how much of the audit is counted is in `attempt_rollup`. Counts only rise.
CREATE TABLE attempt_totals (
    action TEXT NOT NULL,
    route TEXT NOT NULL,
    success BOOLEAN NOT NULL,
    reason TEXT NOT NULL,
    -- What the attempts locked: `account`, `address`, `codes`, with commas between them.
    locks TEXT NOT NULL,
    total BIGINT NOT NULL,
    PRIMARY KEY (action, route, success, reason, locks)
);
CREATE TABLE attempt_rollup (
    is_the_one BOOLEAN PRIMARY KEY DEFAULT TRUE,
    -- Every row of the audit that a transaction before this one wrote is counted; no later one.
    counted_to BIGINT NOT NULL
);
INSERT INTO attempt_rollup (counted_to) VALUES (pg_snapshot_xmin(pg_current_snapshot())::text::int8);

-- Attempts on what is locked, until their minute is over: up to 16 rows for each thing and minute, so that no request waits for another.
CREATE TABLE locked_attempts (
    -- A keyed digest of the address or the name, as in `throttles`.
    subject TEXT NOT NULL,
    -- Since the Unix epoch.
    minute BIGINT NOT NULL,
    slot SMALLINT NOT NULL,
    scope TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    -- How many of each action and route.
    kinds JSONB NOT NULL,
    -- Up to 20 names that were given, and whether each was an account's; then how many attempts had others.
    names JSONB NOT NULL,
    more_names BIGINT NOT NULL,
    -- NULL where they are not the same for all.
    user_id INTEGER,
    ip_address INET,
    user_agent TEXT,
    last_at BIGINT NOT NULL,
    -- By the database's clock, which alone says when a minute is over: the functions' may differ from each other.
    counted_since BIGINT NOT NULL,
    PRIMARY KEY (subject, minute, slot)
) WITH (fillfactor = 50);
CREATE INDEX idx_locked_attempts_counted_since ON locked_attempts (counted_since);

-- What `maintain` counted of the accounts, and when.
CREATE TABLE account_gauges (
    is_the_one BOOLEAN PRIMARY KEY DEFAULT TRUE,
    counted_at BIGINT NOT NULL,
    gauges JSONB NOT NULL
);

-- Accounts that never completed, the longest forgotten first.
CREATE INDEX IF NOT EXISTS idx_users_v2_unfinished ON users_v2 (generated_at) WHERE state = 'provisional' AND login_counter = 0;

-- The runner gives up soon, and tries again: whoever waits for this lock has everybody wait behind it.
LOCK TABLE auth_logs_v2 IN ACCESS EXCLUSIVE MODE;
SET LOCAL timezone = 'UTC';

DO $$
DECLARE
    -- The end of the partition that the old table becomes.
    bound timestamp := (SELECT substring(pg_get_constraintdef(c.oid) FROM '''([^'']+)''') FROM pg_constraint c
                        WHERE c.conrelid = 'public.auth_logs_v2'::regclass AND c.conname = 'audit_before');
    numbers text := pg_get_serial_sequence('public.auth_logs_v2', 'id');
    next_number int8;
    old_name text := 'before_' || to_char(bound, 'YYYY_MM');
    columns text;
    statement text;
    -- The functions of versions before read a row of the table as one of its type: they get the new one.
    former text[] := (
        SELECT array_agg(s.statement ORDER BY p.oid, s.place) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
            CROSS JOIN LATERAL format('%I.%I(public.auth_logs_v2)', n.nspname, p.proname) AS made (name)
            CROSS JOIN LATERAL (VALUES
                (1, 'DROP FUNCTION ' || made.name),
                (2, pg_get_functiondef(p.oid)),
                (3, format('ALTER FUNCTION %s OWNER TO %I', made.name, pg_get_userbyid(p.proowner))),
                (4, format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', made.name))) AS s (place, statement)
        WHERE n.nspname ~ '^cofrap_[0-9]+$' AND 'public.auth_logs_v2'::regtype = ANY (p.proargtypes));
    -- Whoever has rights on the table keeps them; who may insert draws numbers.
    rights text[] := (
        SELECT array_agg(s.statement) FROM pg_class c
            CROSS JOIN LATERAL aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
            CROSS JOIN LATERAL (SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END) AS g (grantee)
            CROSS JOIN LATERAL (VALUES
                (format('GRANT %s ON public.auth_logs_v2 TO %s', a.privilege_type, g.grantee)
                    || CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END),
                (CASE WHEN a.privilege_type = 'INSERT' THEN 'GRANT USAGE ON SEQUENCE %s TO ' || g.grantee END)) AS s (statement)
        WHERE c.oid = 'public.auth_logs_v2'::regclass AND s.statement IS NOT NULL);
BEGIN
    FOREACH statement IN ARRAY coalesce(former, '{}') LOOP
        IF statement LIKE 'DROP FUNCTION %' THEN
            EXECUTE statement;
        END IF;
    END LOOP;

    -- The old table's numbers are those of 64 bits from here on.
    IF numbers IS NULL OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = 'public.auth_logs_v2'::regclass
                                  AND a.attname = 'id' AND a.attidentity <> '') THEN
        next_number := greatest((SELECT max(l.wide_id) FROM public.auth_logs_v2 l), pg_sequence_last_value(numbers::regclass), 0) + 1;
        ALTER TABLE public.auth_logs_v2 ALTER COLUMN id DROP IDENTITY IF EXISTS;
        numbers := 'public.auth_logs_v2_numbers';
        CREATE SEQUENCE public.auth_logs_v2_numbers AS BIGINT;
        PERFORM setval('public.auth_logs_v2_numbers', next_number, FALSE);
    ELSE
        EXECUTE format('ALTER SEQUENCE %s AS BIGINT OWNED BY NONE', numbers);
    END IF;
    DROP TRIGGER prepare_audit_row ON public.auth_logs_v2;
    DROP FUNCTION public.prepare_audit_row();
    ALTER TABLE public.auth_logs_v2 DROP COLUMN id;
    ALTER TABLE public.auth_logs_v2 RENAME COLUMN wide_id TO id;
    -- A valid constraint says so already: the rows are not looked at.
    ALTER TABLE public.auth_logs_v2 ALTER COLUMN id SET NOT NULL;
    ALTER TABLE public.auth_logs_v2 DROP CONSTRAINT audit_numbered;
    ALTER TABLE public.audit_beyond DROP COLUMN id;
    ALTER TABLE public.audit_beyond RENAME COLUMN wide_id TO id;
    ALTER TABLE public.audit_beyond ALTER COLUMN id SET NOT NULL;
    EXECUTE format('ALTER TABLE public.auth_logs_v2 RENAME TO %I', old_name);
    EXECUTE format('ALTER TABLE public.%I SET SCHEMA cofrap_audit', old_name);
    ALTER TABLE public.audit_beyond RENAME TO other;
    ALTER TABLE public.other SET SCHEMA cofrap_audit;

    -- The same columns in the order that they had.
    SELECT string_agg(format('%I %s%s%s%s', a.attname, format_type(a.atttypid, a.atttypmod),
                             (SELECT format(' COLLATE %I.%I', n.nspname, l.collname) FROM pg_collation l JOIN pg_namespace n ON n.oid = l.collnamespace
                              JOIN pg_type y ON y.oid = a.atttypid WHERE l.oid = a.attcollation AND a.attcollation <> y.typcollation),
                             CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END,
                             coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '')), ', ' ORDER BY a.attnum)
        INTO columns
        FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = format('cofrap_audit.%I', old_name)::regclass AND a.attnum > 0 AND NOT a.attisdropped
              AND a.attname NOT IN ('id', 'xact_id');
    EXECUTE format(
        'CREATE TABLE public.auth_logs_v2 (
             id BIGINT NOT NULL DEFAULT nextval(%L), %s,
             xact_id BIGINT DEFAULT (pg_current_xact_id()::text::int8),
             FOREIGN KEY (user_id) REFERENCES public.users_v2 (id) ON DELETE SET NULL
         ) PARTITION BY RANGE (created_at)', numbers, columns);
    EXECUTE format('ALTER SEQUENCE %s OWNED BY public.auth_logs_v2.id', numbers);
    COMMENT ON COLUMN public.auth_logs_v2.xact_id IS
        'The transaction that wrote the row, by which attempts are counted; NULL in rows that are not.';

    -- Those of the runner's on the old table become theirs. Numbers are unique in each partition.
    CREATE INDEX idx_audit_account ON public.auth_logs_v2 (user_id, id);
    CREATE INDEX idx_audit_nobody ON public.auth_logs_v2 (left(details ->> 'username', 50), id) WHERE user_id IS NULL;
    CREATE INDEX idx_audit_refusals ON public.auth_logs_v2 (created_at) WHERE NOT success;
    CREATE INDEX idx_audit_names ON public.auth_logs_v2 (created_at)
        WHERE NOT success AND user_id IS NULL AND details ->> 'masked' IS NULL AND coalesce(details ->> 'known', 'false') <> 'true'
              AND (details ->> 'username' IS NOT NULL OR details ->> 'names' IS NOT NULL);
    CREATE INDEX idx_audit_created_at ON public.auth_logs_v2 USING brin (created_at) WITH (autosummarize = on);
    CREATE INDEX idx_audit_xact_id ON public.auth_logs_v2 (xact_id) WHERE xact_id IS NOT NULL;
    EXECUTE format('ALTER TABLE public.auth_logs_v2 ATTACH PARTITION cofrap_audit.%I FOR VALUES FROM (MINVALUE) TO (%L)', old_name, bound);
    EXECUTE format('ALTER TABLE cofrap_audit.%I DROP CONSTRAINT audit_before', old_name);
    CREATE UNIQUE INDEX other_id ON cofrap_audit.other (id);
    ALTER TABLE public.auth_logs_v2 ATTACH PARTITION cofrap_audit.other DEFAULT;

    FOREACH statement IN ARRAY coalesce(rights, '{}') LOOP
        EXECUTE CASE WHEN statement LIKE 'GRANT USAGE ON SEQUENCE %' THEN replace(statement, '%s', numbers) ELSE statement END;
    END LOOP;
    FOREACH statement IN ARRAY coalesce(former, '{}') LOOP
        IF statement NOT LIKE 'DROP FUNCTION %' THEN
            EXECUTE statement;
        END IF;
    END LOOP;
END $$;

-- Rows without a time belong to no month: they are given the time at which they come.
CREATE FUNCTION cofrap_audit.give_a_time() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.created_at := now() AT TIME ZONE 'UTC';
    INSERT INTO public.auth_logs_v2 SELECT r.* FROM jsonb_populate_record(NULL::public.auth_logs_v2, to_jsonb(NEW)) r;
    RETURN NULL;
END $$;
CREATE TRIGGER give_a_time BEFORE INSERT ON cofrap_audit.other
    FOR EACH ROW WHEN (NEW.created_at IS NULL) EXECUTE FUNCTION cofrap_audit.give_a_time();

-- The partitions that have bounds, by what they are called: `before_2026_12` ends with November, `month_2026_12` is December.
CREATE VIEW cofrap_audit.partitions AS
    SELECT c.relname::text AS name,
           CASE WHEN c.relname LIKE 'before%' THEN '-infinity' ELSE m.month END AS starts,
           CASE WHEN c.relname LIKE 'before%' THEN m.month ELSE m.month + interval '1 month' END AS ends
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        CROSS JOIN LATERAL (SELECT to_date(right(c.relname, 7), 'YYYY_MM')::timestamp AS month) m
    WHERE i.inhparent = 'public.auth_logs_v2'::regclass AND c.relnamespace = 'cofrap_audit'::regnamespace
          AND c.relname ~ '^(before|month)_[0-9]{4}_[0-9]{2}$';

-- How many attempts each row of the audit stands for, by what they are counted as. A row on what was locked says how many of each kind.
CREATE VIEW audited_attempts AS
    SELECT l.xact_id, coalesce(split_part(k.kind, ' ', 1), l.action) AS action,
           CASE WHEN k.kind IS NOT NULL THEN split_part(k.kind, ' ', 2) ELSE coalesce(left(l.details ->> 'route', 50), '') END AS route,
           l.success, CASE WHEN l.success THEN '' ELSE coalesce(left(l.details ->> 'reason', 50), '') END AS reason,
           coalesce(left(l.details ->> 'locks', 60), '') AS locks, coalesce(k.attempts, 1) AS attempts
    FROM auth_logs_v2 l LEFT JOIN LATERAL (
        SELECT e.key AS kind, (e.value::text)::int8 AS attempts
        FROM jsonb_each(CASE WHEN l.details ->> 'reason' = 'too_many_attempts' AND jsonb_typeof(l.details -> 'kinds') = 'object'
                             THEN l.details -> 'kinds' ELSE '{}' END) e
        WHERE jsonb_typeof(e.value) = 'number' AND e.value::text ~ '^[0-9]{1,15}$'
    ) k ON TRUE;
