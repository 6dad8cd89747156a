-- Counts an attempt that was not checked, because a limit was reached before. A locked name or address has 16 counters a minute, of which each
-- request takes one that no other request holds: none waits, and the audit gets one row a minute (`note_locked_attempts.sql`).
CREATE FUNCTION cofrap.count_locked(
    -- Attempt: who asked for what, and when.
    action text,
    given_name text, -- or null
    caller_address text, -- or null
    agent text, -- or null
    moment int8,
    account int8, -- or null
    route text, -- or null: by which component
    locked_subject text, -- what is locked: the caller's address, else the name
    scope text -- 'address' or 'account'
) RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    this_minute int8 := moment / 60;
    kind text := concat_ws(' ', action, route);
    is_known bool := account IS NOT NULL;
    free_slot int2;
BEGIN
    SELECT s.slot INTO free_slot FROM public.locked_attempts s
        WHERE s.subject = locked_subject AND s.minute = this_minute
        LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;
    IF free_slot IS NULL THEN
        -- All are held: one more, as long as there are fewer than 16.
        SELECT n.slot INTO free_slot FROM generate_series(0, 15) AS n (slot)
            ORDER BY EXISTS (SELECT FROM public.locked_attempts s
                             WHERE s.subject = locked_subject AND s.minute = this_minute AND s.slot = n.slot), random()
            LIMIT 1;
    END IF;
    INSERT INTO public.locked_attempts AS s (
        subject, minute, slot, scope, attempts, kinds, names, more_names, user_id, ip_address, user_agent, last_at, counted_since)
    VALUES (locked_subject, this_minute, free_slot, count_locked.scope, 1, jsonb_build_object(kind, 1),
            CASE WHEN given_name IS NULL THEN '{}' ELSE jsonb_build_object(given_name, is_known) END, 0,
            account, caller_address::inet, agent, moment, (-cofrap.clock_offset(0))::int8)
    ON CONFLICT ON CONSTRAINT locked_attempts_pkey DO UPDATE SET
        attempts = s.attempts + 1,
        kinds = s.kinds || jsonb_build_object(kind, coalesce((s.kinds ->> kind)::int8, 0) + 1),
        names = CASE
            WHEN given_name IS NULL OR s.names ? given_name OR s.more_names > 0 THEN s.names
            WHEN (SELECT count(*) FROM jsonb_object_keys(s.names)) < 20 THEN s.names || jsonb_build_object(given_name, is_known)
            ELSE s.names END,
        more_names = s.more_names + (
            given_name IS NOT NULL AND NOT s.names ? given_name
            AND (s.more_names > 0 OR (SELECT count(*) FROM jsonb_object_keys(s.names)) >= 20))::int4,
        -- What is not the same for all is said of none.
        user_id = CASE WHEN s.user_id = account THEN s.user_id END,
        ip_address = CASE WHEN s.ip_address = caller_address::inet THEN s.ip_address END,
        user_agent = CASE WHEN s.user_agent = agent THEN s.user_agent END,
        last_at = greatest(s.last_at, moment);
END $$;
