-- Whether an account of a number is still the one, and the database too.
CREATE FUNCTION cofrap.is_identity(account int8, identity text) RETURNS bool
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM public.users_v2 u
        WHERE u.id = account AND u.identity || (SELECT i.identity FROM public.installation i WHERE i.place = cofrap.place()) = is_identity.identity);
END $$;
