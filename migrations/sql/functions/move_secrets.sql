-- Stores secrets that were encrypted again, given as JSON lists, where the rows still have the tokens that were read. If nothing was
-- left to move, keys that no row needs are forgotten.
CREATE FUNCTION cofrap.move_secrets(
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
    accounts text,
    history text,
    first_key text,
    forgets_keys bool,
    OUT answer text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    moved int8 := 0;
    outcome text;
    moved_history int8;
BEGIN
    IF NOT cofrap.admit_operator(operator_proof) THEN
        answer := '"not_the_operator"';
        RETURN;
    END IF;
    outcome := CASE WHEN cofrap.pass_limits(
        moment, issuances_subject, issuances_limit, issuances_window, address_subject, address_added, address_limit,
        address_window, name_subject, name_place, name_effect, name_limit, first_lock, longest_lock, name_memory) THEN 'done' ELSE 'too_many_attempts' END;
    IF outcome = 'done' THEN
        IF NOT forgets_keys THEN
            PERFORM cofrap.register_keys(first_key, moment);
        END IF;
        UPDATE public.users_v2 u SET
            password = n.password, password_key = first_key, password_binding = coalesce(n.password_binding, ''),
            mfa = coalesce(n.mfa, u.mfa), mfa_key = CASE WHEN n.mfa IS NULL THEN u.mfa_key ELSE first_key END,
            mfa_binding = CASE WHEN n.mfa IS NULL THEN u.mfa_binding ELSE coalesce(n.mfa_binding, '') END,
            pending_mfa = coalesce(n.pending_mfa, u.pending_mfa),
            pending_mfa_key = CASE WHEN n.pending_mfa IS NULL THEN u.pending_mfa_key ELSE first_key END,
            pending_mfa_binding = CASE WHEN n.pending_mfa IS NULL THEN u.pending_mfa_binding ELSE coalesce(n.pending_mfa_binding, '') END,
            previous_password = NULL, previous_password_key = NULL, previous_password_binding = NULL, previous_password_ends = NULL,
            standing_key = first_key, standing_binding = n.standing_binding
            FROM (
                SELECT n.* FROM jsonb_to_recordset(accounts::jsonb) AS n (
                    id int8, password_old text, password text, password_binding text, mfa_old text, mfa text,
                    mfa_binding text, pending_mfa_old text, pending_mfa text, pending_mfa_binding text, state text,
                    operator_touched bool, disabled bool, standing_binding text)
                JOIN public.users_v2 held ON held.id = n.id ORDER BY n.id FOR NO KEY UPDATE OF held SKIP LOCKED
            ) n
            WHERE u.id = n.id AND u.password = n.password_old AND nullif(u.mfa, '') IS NOT DISTINCT FROM n.mfa_old
                  AND u.pending_mfa IS NOT DISTINCT FROM n.pending_mfa_old AND u.state = n.state
                  AND u.operator_touched = n.operator_touched AND (u.disabled_at IS NOT NULL) = n.disabled;
        GET DIAGNOSTICS moved = ROW_COUNT;
        UPDATE public.password_history_v2 h SET
            password = n.password, password_key = first_key, password_binding = coalesce(n.password_binding, '')
            FROM (
                SELECT n.* FROM jsonb_to_recordset(history::jsonb) AS n (
                    id int8, password_old text, password text, password_binding text)
                JOIN public.password_history_v2 held ON held.id = n.id
                ORDER BY n.id FOR NO KEY UPDATE OF held SKIP LOCKED
            ) n
            WHERE h.id = n.id AND h.password = n.password_old;
        GET DIAGNOSTICS moved_history = ROW_COUNT;
        moved := moved + moved_history;
        IF forgets_keys THEN
            PERFORM cofrap.forget_keys(first_key);
        END IF;
    END IF;
    PERFORM cofrap.note_attempt(
        action, given_name, caller_address, agent, moment, account, proof, route, outcome = 'done', nullif(outcome, 'done'));
    answer := CASE outcome WHEN 'done' THEN json_build_object('done', moved) ELSE to_json(outcome) END;
END $$;
