-- The complete logins of the account of a number and an identity since a moment whose sessions were not ended, as a JSON list, the newest
-- first.
CREATE FUNCTION cofrap.read_sessions(
    account int8,
    identity text, -- the account's and the database's, one after the other
    since int8,
    max_rows int8,
    OUT answer text
) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    earliest timestamp := to_timestamp(since) AT TIME ZONE 'UTC';
BEGIN
    IF cofrap.is_identity(account, identity) THEN
        SELECT json_agg(json_build_object(
                'id', l.details ->> 'session', 'at', extract(epoch FROM l.created_at)::int8,
                'address', host(l.ip_address), 'user_agent', l.user_agent) ORDER BY l.id DESC)
            INTO answer FROM (
                SELECT a.* FROM public.auth_logs_v2 a
                WHERE a.user_id = account
                    -- Numbers follow time: from the newest row back, no further than the first that is too old.
                    AND a.id > coalesce((SELECT o.id FROM public.auth_logs_v2 o
                                         WHERE o.user_id = account AND o.created_at < earliest
                                         ORDER BY o.id DESC LIMIT 1), 0)
                    AND a.action = 'login' AND a.success AND a.details ->> 'session' IS NOT NULL
                    AND a.details -> 'epoch' = (SELECT to_jsonb(u.session_epoch) FROM public.users_v2 u WHERE u.id = account)
                    AND NOT EXISTS (SELECT FROM public.ended_sessions e
                                    WHERE e.user_id = account AND e.id = a.details ->> 'session')
                ORDER BY a.id DESC LIMIT max_rows) l;
    END IF;
    answer := coalesce(answer, '[]');
END $$;
