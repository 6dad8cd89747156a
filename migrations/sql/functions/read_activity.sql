-- The last attempts on the account of a number and an identity, as a JSON list, the newest first.
CREATE FUNCTION cofrap.read_activity(
    account int8,
    identity text, -- the account's and the database's, one after the other
    max_rows int8,
    OUT answer text
) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF cofrap.is_identity(account, identity) THEN
        SELECT json_agg(cofrap.entry_as_json(l) ORDER BY l.id DESC) INTO answer FROM (
            SELECT a.* FROM public.auth_logs_v2 a WHERE a.user_id = account ORDER BY a.id DESC LIMIT max_rows) l;
    END IF;
    answer := coalesce(answer, '[]');
END $$;
