-- Whether the caller is the operator: knows the digest of their token, whose own digest is stored (components without the token do not), or
-- may write the tables anyway. Until a digest is stored, whoever says that they are.
CREATE FUNCTION cofrap.is_operator(operator_proof text) RETURNS bool
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN has_table_privilege(session_user, 'public.installation', 'UPDATE') OR EXISTS (
        SELECT FROM public.installation i
        WHERE i.operator_digest IS NULL OR i.operator_digest = encode(sha256(convert_to(operator_proof, 'UTF8')), 'hex'));
END $$;
