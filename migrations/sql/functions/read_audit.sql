-- Rows of the audit as a JSON list, the newest first. Each way to ask has a query, and so a plan, of its own.
CREATE FUNCTION cofrap.read_audit(
    operator_proof text,
    given_name text, -- or null: any
    before int8, -- or null: from the newest
    max_rows int8,
    OUT answer text
) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    below int8 := coalesce(before, 9223372036854775807);
BEGIN
    IF NOT cofrap.is_operator(operator_proof) THEN
        answer := '"not_the_operator"';
        RETURN;
    END IF;
    IF given_name IS NOT NULL THEN
        -- Of whom the name is, and of nobody by that name: whose account is gone, or never was.
        SELECT json_agg(cofrap.entry_as_json(l) ORDER BY l.id DESC) INTO answer
        FROM public.auth_logs_v2 l WHERE l.id = ANY (ARRAY(
            SELECT both_kinds.id FROM (
                (SELECT a.id FROM public.auth_logs_v2 a
                 WHERE a.user_id = (SELECT u.id FROM public.users_v2 u WHERE u.username = given_name)
                       AND a.id < below
                 ORDER BY a.id DESC LIMIT max_rows)
                UNION ALL
                (SELECT a.id FROM public.auth_logs_v2 a
                 WHERE a.user_id IS NULL AND left(a.details ->> 'username', 50) = given_name
                       AND a.details ->> 'username' = given_name AND a.id < below
                 ORDER BY left(a.details ->> 'username', 50) DESC, a.id DESC LIMIT max_rows)) both_kinds
            ORDER BY both_kinds.id DESC LIMIT max_rows));
    ELSE
        SELECT json_agg(cofrap.entry_as_json(l) ORDER BY l.id DESC) INTO answer FROM (
            SELECT a.* FROM public.auth_logs_v2 a WHERE a.id < below ORDER BY a.id DESC LIMIT max_rows) l;
    END IF;
    answer := json_build_object('done', coalesce(answer, '[]')::json);
END $$;
