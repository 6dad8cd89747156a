-- Reads the account of a name, how often the name and the caller's address have failed, and which keys the stored secrets need.
CREATE FUNCTION cofrap.find(
    given_name text,
    name_key text, -- or null: confusable names are not looked for
    place text, -- the caller's
    address_subject text,
    issuances_subject text,
    name_subject text,
    OUT answer text
) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    is_nobody bool;
BEGIN
    SELECT json_build_object(
            'account', row_to_json(u),
            'row_version', u.xmin::text,
            'database_identity', CASE WHEN i.place = cofrap.place() THEN i.identity END,
            'counts', ARRAY(
                SELECT json_build_object('subject', t.subject, 'place', t.place, 'failures', t.failures, 'since', t.since,
                                         'locked_until', t.locked_until)
                FROM public.throttles t
                WHERE t.subject IN (address_subject, issuances_subject, name_subject) AND t.place IN ('', find.place)),
            'registered_keys', ARRAY(SELECT k.id FROM public.encryption_keys k),
            'foreign_tokens', ARRAY(
                SELECT f.password FROM public.users_v2 f
                WHERE f.password_key IS NULL AND length(f.password) >= 100 AND f.password LIKE 'gAAAAA%'
                ORDER BY f.id DESC LIMIT 3)),
            u.id IS NULL
        INTO answer, is_nobody
        FROM public.installation i LEFT JOIN public.users_v2 u ON u.username = given_name;
    -- A database that is being restored may have no installation yet.
    answer := coalesce(answer, '{"counts": [], "registered_keys": [], "foreign_tokens": []}');
    IF is_nobody AND EXISTS (SELECT FROM public.users_v2 u WHERE u.username_key = name_key) THEN
        answer := jsonb_set(answer::jsonb, '{is_confusable}', 'true');
    END IF;
END $$;
