-- What tells whether the functions can work: whether this is the database that it says it is, whether writes are taken, the keys that stored secrets need, and tables whose sequence lags behind their numbers or
-- has less than a tenth of them left.
CREATE FUNCTION cofrap.read_health(
    OUT answer text
) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    weak_sequences text;
BEGIN
    SELECT string_agg(n.numbered, ',') INTO weak_sequences FROM (
        SELECT 'users_v2' AS numbered, (SELECT max(u.id) FROM public.users_v2 u) AS highest, 2147483647 AS largest
        UNION ALL SELECT 'password_history_v2', (SELECT max(h.id) FROM public.password_history_v2 h), 2147483647
        UNION ALL SELECT 'auth_logs_v2', (SELECT max(l.id) FROM public.auth_logs_v2 l), 9223372036854775807
    ) n CROSS JOIN LATERAL (
        SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence('public.' || n.numbered, 'id')::regclass), 0) AS last
    ) s WHERE n.highest > s.last OR s.last / 9 > n.largest / 10;
    SELECT json_build_object('registered_keys', k.registered_keys, 'foreign_tokens', k.foreign_tokens,
                             'weak_sequences', weak_sequences,
                             'is_here', EXISTS (SELECT FROM public.installation i WHERE i.place = cofrap.place()),
                             'takes_writes', NOT pg_is_in_recovery() AND current_setting('default_transaction_read_only') = 'off')
        INTO answer FROM cofrap.stored_keys() k;
END $$;
