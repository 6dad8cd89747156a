-- Whether somebody showed the right password or code of an account since a moment, whatever it came to.
CREATE FUNCTION cofrap.is_used(account int8, since int8) RETURNS bool
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM public.auth_logs_v2 l
        WHERE l.user_id = account AND l.created_at >= to_timestamp(since) AT TIME ZONE 'UTC'
              AND (l.success AND l.action IN ('login', 'password_verified', 'code_verified')
                   -- Of a login these are said behind a right password alone.
                   OR l.action IN ('login', 'password_expired')
                      AND l.details ->> 'reason' IN ('mfa_not_enrolled', 'missing_code', 'wrong_code', 'replayed_code', 'expired')));
END $$;
