-- Reads what sessions need of the account of a number and an identity; of a disabled one, as of one that is gone or a session that was
-- ended, nothing.
CREATE FUNCTION cofrap.find_session(
    account int8,
    identity text, -- the account's and the database's, one after the other
    session text,
    OUT answer text
) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    SELECT json_build_object('id', u.id, 'username', u.username, 'session_epoch', u.session_epoch,
                             'older_factor_issued_at', least(u.gendate, u.mfa_gendate), 'pending_mfa_issued_at', u.pending_mfa_gendate)
        INTO answer FROM public.users_v2 u
        WHERE u.id = account AND u.disabled_at IS NULL
            AND u.identity || (SELECT i.identity FROM public.installation i WHERE i.place = cofrap.place()) = find_session.identity
            AND NOT EXISTS (SELECT FROM public.ended_sessions e WHERE e.user_id = account AND e.id = session);
    answer := coalesce(answer, 'null');
END $$;
