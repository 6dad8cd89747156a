-- Adds attempts to the totals, a batch at a time. Returns how many audit rows, or NULL while another request does the same.
--
-- A row's number does not say whether rows before it are still to come: a transaction may hold a number for long before it commits. Its
-- transaction does: everything before the oldest one that still runs is over, committed or not, so that no row comes to it any more. Up to
-- there rows are counted, in the transaction that moves the mark; each is counted once, and none is missed.
CREATE FUNCTION cofrap.roll_up(max_rows int8) RETURNS int8
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
-- The new rows are few, which the statistics do not show: without these settings the planner would read whole tables, and compile the query.
SET enable_seqscan = off SET jit = off AS $$
DECLARE
    mark int8;
    horizon int8;
    beyond int8;
    rolled int8;
BEGIN
    SELECT r.counted_to INTO mark FROM public.attempt_rollup r FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    horizon := pg_snapshot_xmin(pg_current_snapshot())::text::int8;
    SELECT l.xact_id INTO beyond FROM public.auth_logs_v2 l
        WHERE l.xact_id >= mark AND l.xact_id < horizon ORDER BY l.xact_id OFFSET max_rows LIMIT 1;
    IF beyond IS NOT NULL THEN
        -- One transaction may have written more than a batch.
        horizon := greatest(beyond, mark + 1);
    END IF;
    IF horizon <= mark THEN
        RETURN 0;
    END IF;
    INSERT INTO public.attempt_totals AS t (action, route, success, reason, locks, total)
        SELECT a.action, a.route, a.success, a.reason, a.locks, sum(a.attempts)::int8 FROM public.audited_attempts a
        WHERE a.xact_id >= mark AND a.xact_id < horizon
        GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
        ON CONFLICT ON CONSTRAINT attempt_totals_pkey DO UPDATE SET total = t.total + excluded.total;
    SELECT count(*) INTO rolled FROM public.auth_logs_v2 l WHERE l.xact_id >= mark AND l.xact_id < horizon;
    UPDATE public.attempt_rollup SET counted_to = horizon;
    RETURN rolled;
END $$;
