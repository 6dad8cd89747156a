-- Whether a row of a table that is not ours refers to an account. What cannot be read does.
CREATE FUNCTION cofrap.is_referred(account int8) RETURNS bool
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
    reference record;
    found_one bool;
BEGIN
    FOR reference IN
        SELECT c.conrelid::regclass AS referring, a.attname AS referring_column, f.attname AS referred_column, cardinality(c.conkey) AS width
        FROM pg_constraint c
            JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
            JOIN pg_attribute f ON f.attrelid = c.confrelid AND f.attnum = c.confkey[1]
        WHERE c.contype = 'f' AND c.confrelid = 'public.users_v2'::regclass AND c.conparentid = 0
              AND c.conrelid NOT IN ('public.password_history_v2'::regclass, 'public.auth_logs_v2'::regclass, 'public.ended_sessions'::regclass)
    LOOP
        IF reference.width > 1 OR reference.referred_column NOT IN ('id', 'username') THEN
            RETURN TRUE;
        END IF;
        BEGIN
            EXECUTE format('SELECT EXISTS (SELECT FROM %s r JOIN public.users_v2 u ON r.%I = u.%I WHERE u.id = $1)',
                           reference.referring, reference.referring_column, reference.referred_column)
                INTO found_one USING account;
        EXCEPTION WHEN insufficient_privilege THEN
            RETURN TRUE;
        END;
        IF found_one THEN
            RETURN TRUE;
        END IF;
    END LOOP;
    RETURN FALSE;
END $$;
