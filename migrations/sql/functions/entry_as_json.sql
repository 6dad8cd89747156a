-- A row of the audit as the components read it.
CREATE FUNCTION cofrap.entry_as_json(entry public.auth_logs_v2) RETURNS json
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN json_build_object(
        'id', entry.id, 'at', coalesce(extract(epoch FROM entry.created_at)::int8, 0), 'action', entry.action,
        'username', entry.details ->> 'username', 'user_id', entry.user_id, 'address', host(entry.ip_address),
        'user_agent', entry.user_agent, 'success', entry.success,
        'reason', entry.details ->> 'reason', 'proof', entry.details ->> 'proof', 'route', entry.details ->> 'route',
        -- Of a row that stands for many attempts: how many, under which names, and how many gave further ones.
        'attempts', CASE WHEN jsonb_typeof(entry.details -> 'attempts') = 'number' THEN (entry.details -> 'attempts')::numeric::int8 END,
        'names', CASE WHEN jsonb_typeof(entry.details -> 'names') = 'object'
            THEN (SELECT json_agg(n.name) FROM jsonb_object_keys(entry.details -> 'names') AS n (name)) END,
        'more_names', CASE WHEN jsonb_typeof(entry.details -> 'more_names') = 'number' THEN (entry.details -> 'more_names')::numeric::int8 END);
END $$;
