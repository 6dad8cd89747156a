-- Stores secrets that a login encrypted again; puts the waiting second factor in force, if the code belongs to it.
CREATE FUNCTION cofrap.refresh_secrets(
    account int8,
    promotes_pending bool,
    again_password text, -- or null: it stays
    again_password_key text, -- or null: it stays
    again_password_binding text, -- or null: it stays
    again_mfa text, -- or null: it stays
    again_mfa_key text, -- or null: it stays
    again_mfa_binding text, -- or null: it stays
    mfa_issued_at int8
) RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE public.users_v2 u SET
        session_epoch = u.session_epoch + promotes_pending::int4,
        mfa_generation = u.mfa_generation + promotes_pending::int4,
        password = coalesce(again_password, u.password),
        password_key = coalesce(again_password_key, u.password_key),
        password_binding = CASE WHEN again_password IS NULL THEN u.password_binding ELSE coalesce(again_password_binding, '') END,
        mfa = coalesce(again_mfa, u.mfa),
        mfa_key = coalesce(again_mfa_key, u.mfa_key),
        mfa_binding = CASE WHEN again_mfa IS NULL THEN u.mfa_binding ELSE coalesce(again_mfa_binding, '') END,
        mfa_gendate = CASE WHEN promotes_pending THEN mfa_issued_at ELSE u.mfa_gendate END,
        pending_mfa = CASE WHEN NOT promotes_pending THEN u.pending_mfa END,
        pending_mfa_key = CASE WHEN NOT promotes_pending THEN u.pending_mfa_key END,
        pending_mfa_binding = CASE WHEN NOT promotes_pending THEN u.pending_mfa_binding END,
        pending_mfa_gendate = CASE WHEN NOT promotes_pending THEN u.pending_mfa_gendate END
        WHERE u.id = account;
END $$;
