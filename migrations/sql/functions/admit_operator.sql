-- As `is_operator.sql`, in a function that writes: the first digest is stored, unless the caller needs none.
CREATE FUNCTION cofrap.admit_operator(operator_proof text) RETURNS bool
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE public.installation i SET operator_digest = encode(sha256(convert_to(operator_proof, 'UTF8')), 'hex')
        WHERE i.operator_digest IS NULL AND NOT has_table_privilege(session_user, 'public.installation', 'UPDATE');
    RETURN cofrap.is_operator(operator_proof);
END $$;
