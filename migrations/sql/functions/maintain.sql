-- Carries out a batch of maintenance: counts attempts, removes rows that are older than their retention or that nobody
-- needs, and returns what it did. It belongs to the audit's owner: no other function removes an audit row.
CREATE FUNCTION cofrap.maintain(
    -- Attempt: who asked for what, and when.
    action text,
    given_name text, -- or null
    caller_address text, -- or null
    agent text, -- or null
    moment int8,
    account int8, -- or null
    proof text, -- or null
    route text, -- or null: by which component
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
    name_memory int8,
    -- Own.
    operator_proof text,
    refusals_days int8, -- 0: for ever
    actions_days int8, -- 0: for ever
    max_rows int8,
    OUT answer text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    outcome text;
    is_clock_right bool := abs(cofrap.clock_offset(moment)) <= 300;
    refusals_from timestamp := CASE WHEN refusals_days > 0 THEN to_timestamp(moment - 86400 * greatest(30, refusals_days)) AT TIME ZONE 'UTC' END;
    actions_from timestamp := CASE WHEN actions_days > 0 THEN to_timestamp(moment - 86400 * greatest(30, actions_days)) AT TIME ZONE 'UTC' END;
    counted_to int8;
    old_rows int8[];
    refusals int8 := 0;
    actions int8 := 0;
    counters int8 := 0;
    sessions int8 := 0;
    counted int8 := 0;
    locked int8 := 0;
    done jsonb;
BEGIN
    IF NOT cofrap.admit_operator(operator_proof) THEN
        answer := '"not_the_operator"';
        RETURN;
    END IF;
    outcome := CASE WHEN cofrap.pass_limits(
        moment, issuances_subject, issuances_limit, issuances_window, address_subject, address_added, address_limit,
        address_window, name_subject, name_place, name_effect, name_limit, first_lock, longest_lock, name_memory) THEN 'done' ELSE 'too_many_attempts' END;
    IF outcome = 'done' THEN
        locked := cofrap.note_locked_attempts();
        counted := cofrap.roll_up(max_rows * 10);
        PERFORM cofrap.catch_up('users_v2'), cofrap.catch_up('password_history_v2'), cofrap.catch_up('auth_logs_v2');
    END IF;
    -- Nothing goes while the clocks differ; and one at a time is enough.
    IF outcome = 'done' AND is_clock_right AND pg_try_advisory_xact_lock('public.account_gauges'::regclass::oid::int8) THEN
        counted_to := (SELECT r.counted_to FROM public.attempt_rollup r);
        -- What is not counted yet stays. The operator's refused actions are kept as long as those that were done.
        old_rows := ARRAY(
            SELECT l.id FROM public.auth_logs_v2 l
            WHERE NOT l.success AND l.created_at < refusals_from AND l.details ->> 'proof' IS DISTINCT FROM 'operator'
                  AND (l.xact_id < counted_to) IS NOT FALSE
            ORDER BY l.created_at LIMIT max_rows);
        DELETE FROM public.auth_logs_v2 l
            WHERE l.id = ANY (old_rows) AND NOT l.success AND l.created_at < refusals_from AND l.details ->> 'proof' IS DISTINCT FROM 'operator';
        GET DIAGNOSTICS refusals = ROW_COUNT;
        old_rows := ARRAY(
            SELECT l.id FROM public.auth_logs_v2 l
            WHERE l.created_at < actions_from AND (l.success OR l.details ->> 'proof' = 'operator')
                  AND (l.xact_id < counted_to) IS NOT FALSE
            LIMIT max_rows);
        DELETE FROM public.auth_logs_v2 l
            WHERE l.id = ANY (old_rows) AND l.created_at < actions_from AND (l.success OR l.details ->> 'proof' = 'operator');
        GET DIAGNOSTICS actions = ROW_COUNT;
        DELETE FROM public.throttles WHERE (subject, place) IN (
            SELECT t.subject, t.place FROM public.throttles t
            WHERE t.idle_at < moment ORDER BY t.idle_at LIMIT max_rows FOR UPDATE SKIP LOCKED);
        GET DIAGNOSTICS counters = ROW_COUNT;
        DELETE FROM public.ended_sessions WHERE (user_id, id) IN (
            SELECT e.user_id, e.id FROM public.ended_sessions e
            WHERE e.ends_at < moment ORDER BY e.ends_at LIMIT max_rows FOR UPDATE SKIP LOCKED);
        GET DIAGNOSTICS sessions = ROW_COUNT;
    END IF;
    done := jsonb_build_object(
        'locked_minutes', locked, 'counted', counted, 'refusals', refusals, 'actions', actions, 'counters', counters,
        'sessions', sessions, 'clocks_differ', NOT is_clock_right);
    PERFORM cofrap.note_attempt(
        action, given_name, caller_address, agent, moment, account, proof, route, outcome = 'done', nullif(outcome, 'done'), done);
    answer := CASE outcome WHEN 'done' THEN jsonb_build_object('done', done || jsonb_build_object(
        'more', locked = 20 OR counted >= max_rows * 10 OR greatest(refusals, actions, counters, sessions) >= max_rows))::text
        ELSE to_json(outcome)::text END;
END $$;
