-- Rows with a secret that is not encrypted under the first key, or has no MAC, as JSON lists: accounts, and rows of the history.
CREATE FUNCTION cofrap.find_stale(
    operator_proof text,
    first_key text,
    after_account int8,
    after_history int8,
    max_rows int8,
    max_count int8,
    OUT answer text
) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan SET enable_seqscan = off AS $$
DECLARE
    accounts json;
    history json;
    rows_left int8;
BEGIN
    IF NOT cofrap.is_operator(operator_proof) THEN
        answer := '"not_the_operator"';
        RETURN;
    END IF;
    rows_left := cofrap.count_stale(first_key, max_count);
    -- Without this, a rotation that has nothing left would look at every row.
    IF rows_left > 0 THEN
        SELECT json_agg(row_to_json(b.u) ORDER BY (b.u).id) INTO accounts FROM (
            SELECT u FROM public.users_v2 u
            WHERE u.id > after_account
                  AND (u.password_key IS DISTINCT FROM first_key OR u.standing_key IS DISTINCT FROM first_key
                       OR u.mfa <> '' AND u.mfa_key IS DISTINCT FROM first_key
                       OR u.pending_mfa IS NOT NULL AND u.pending_mfa_key IS DISTINCT FROM first_key)
            ORDER BY u.id LIMIT max_rows) b;
        SELECT json_agg(json_build_object(
                'id', b.id, 'owner', b.owner, 'password', b.password, 'password_key', b.password_key,
                'password_binding', b.password_binding) ORDER BY b.id)
            INTO history FROM (
                SELECT h.id, coalesce(o.username, '') AS owner, h.password, h.password_key, h.password_binding
                FROM public.password_history_v2 h LEFT JOIN public.users_v2 o ON o.id = h.user_id
                WHERE h.id > after_history AND h.password_key IS DISTINCT FROM first_key
                ORDER BY h.id LIMIT max_rows) b;
    END IF;
    SELECT json_build_object('done', json_build_object(
            'accounts', coalesce(accounts, '[]'), 'history', coalesce(history, '[]'), 'rows_left', rows_left,
            'registered_keys', k.registered_keys, 'foreign_tokens', k.foreign_tokens))
        INTO answer FROM cofrap.stored_keys() k;
END $$;
