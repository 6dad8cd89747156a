-- Reads the account of a name, how often the name and the caller's address have failed, and which keys the stored secrets need.
CREATE FUNCTION cofrap.find(
    given_name text,
    name_key text, -- or null: other spellings of the name are of no interest
    place text,
    address_subject text,
    generations_subject text,
    name_subject text,
    OUT answer text
) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    account json;
    is_known_place bool;
BEGIN
    SELECT row_to_json(u), find.place = ANY (u.login_places) INTO account, is_known_place
        FROM public.users_v2 u WHERE u.username = given_name;
    SELECT json_build_object(
            'account', account,
            'is_other_spelling', account IS NULL AND name_key IS NOT NULL
                AND EXISTS (SELECT FROM public.users_v2 u WHERE u.username_key = name_key),
            'is_known_place', coalesce(is_known_place, FALSE),
            'address_failures', a.failures, 'address_since', a.since,
            'generations', g.failures, 'generations_since', g.since,
            'name_locked_until', n.locked_until,
            'registered_keys', (SELECT string_agg(k.id, ',') FROM public.encryption_keys k),
            'foreign_tokens', (SELECT string_agg(newest.password, ',') FROM (
                SELECT f.password FROM public.users_v2 f
                WHERE f.password_key IS NULL AND length(f.password) >= 100 AND f.password LIKE 'gAAAAA%'
                ORDER BY f.id DESC LIMIT 3) newest))
        INTO answer
        FROM (SELECT 1) one
        LEFT JOIN public.throttles a ON a.subject = address_subject AND a.place = ''
        LEFT JOIN public.throttles g ON g.subject = generations_subject AND g.place = ''
        LEFT JOIN public.throttles n
            ON n.subject = name_subject AND n.place = CASE WHEN is_known_place THEN find.place ELSE '' END;
END $$;
