-- Counts an attempt, and says whether the limits let it pass. Each limit is a conditional upsert in a statement of its own: of many at
-- once, each waits for the row and sees the result of the one before. The rows are always locked in this order. Times
-- from the future are ignored: two clocks may differ by 30 seconds.
CREATE FUNCTION cofrap.pass_limits(
    moment int8,
    -- Limits: what is counted, and how much of it there may be.
    issuances_subject text, -- or null: not counted
    issuances_limit int8,
    issuances_window int8,
    address_subject text, -- or null: not counted
    address_added int8,
    address_limit int8,
    address_window int8,
    name_subject text, -- or null: not counted
    name_place text,
    name_effect text,
    name_limit int8,
    first_lock int8,
    longest_lock int8,
    name_memory int8
) RETURNS bool LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF issuances_subject IS NOT NULL THEN
        INSERT INTO public.throttles AS t (subject, place, failures, since, idle_at)
        VALUES (issuances_subject, '', 1, moment, moment + issuances_window)
        ON CONFLICT ON CONSTRAINT throttles_pkey DO UPDATE SET
            failures = CASE WHEN t.since + issuances_window > moment AND t.since <= moment + 30 THEN t.failures + 1 ELSE 1 END,
            since = CASE WHEN t.since + issuances_window > moment AND t.since <= moment + 30 THEN t.since ELSE moment END,
            idle_at = CASE WHEN t.since + issuances_window > moment AND t.since <= moment + 30 THEN t.since ELSE moment END + issuances_window
        WHERE t.since + issuances_window <= moment OR t.since > moment + 30 OR t.failures < issuances_limit;
        IF NOT FOUND THEN
            RETURN FALSE;
        END IF;
    END IF;

    IF address_subject IS NOT NULL THEN
        INSERT INTO public.throttles AS t (subject, place, failures, since, idle_at)
        VALUES (address_subject, '', address_added, moment, moment + address_window)
        ON CONFLICT ON CONSTRAINT throttles_pkey DO UPDATE SET
            failures = CASE WHEN t.since + address_window > moment AND t.since <= moment + 30 THEN t.failures ELSE 0 END + address_added,
            since = CASE WHEN t.since + address_window > moment AND t.since <= moment + 30 THEN t.since ELSE moment END,
            idle_at = CASE WHEN t.since + address_window > moment AND t.since <= moment + 30 THEN t.since ELSE moment END + address_window
        WHERE t.since + address_window <= moment OR t.since > moment + 30 OR t.failures < address_limit;
        IF NOT FOUND THEN
            RETURN FALSE;
        END IF;
    END IF;

    IF name_subject IS NOT NULL THEN
        INSERT INTO public.throttles AS t (subject, place, failures, since, locked_until, idle_at)
        VALUES (name_subject, name_place,
                CASE name_effect WHEN 'count' THEN 1 ELSE 0 END, moment,
                CASE WHEN name_effect = 'count' AND name_limit <= 1 THEN moment + first_lock ELSE 0 END,
                moment + CASE name_effect WHEN 'count' THEN name_memory ELSE 0 END)
        ON CONFLICT ON CONSTRAINT throttles_pkey DO UPDATE SET
            failures = CASE name_effect
                WHEN 'count' THEN CASE WHEN t.idle_at > moment AND t.idle_at <= moment + name_memory + 30 THEN t.failures ELSE 0 END + 1
                WHEN 'keep' THEN t.failures
                ELSE 0 END,
            locked_until = CASE name_effect
                WHEN 'count' THEN CASE
                    WHEN t.idle_at > moment AND t.idle_at <= moment + name_memory + 30 AND t.failures + 1 >= name_limit
                    THEN moment + least(longest_lock, first_lock << least(t.failures + 1 - name_limit, 16)::int4)
                    WHEN name_limit <= 1 THEN moment + first_lock
                    ELSE 0 END
                WHEN 'keep' THEN CASE WHEN t.locked_until <= moment + longest_lock + 30 THEN t.locked_until ELSE 0 END
                ELSE 0 END,
            idle_at = CASE name_effect
                WHEN 'count' THEN moment + name_memory
                WHEN 'keep' THEN t.idle_at
                ELSE moment END,
            since = moment
        WHERE t.locked_until <= moment OR t.locked_until > moment + longest_lock + 30 OR name_effect = 'forgive';
        IF NOT FOUND THEN
            RETURN FALSE;
        END IF;
    END IF;

    IF issuances_subject IS NOT NULL OR address_added > 0 THEN
        -- Who fills the table empties it: a few counts that say nothing any more go.
        DELETE FROM public.throttles WHERE (subject, place) IN (
            SELECT t.subject, t.place FROM public.throttles t
            WHERE t.idle_at < moment ORDER BY t.idle_at LIMIT 4 FOR UPDATE SKIP LOCKED);
    END IF;
    RETURN TRUE;
END $$;
