-- Registers the keys that rows need from now on; the names are separated by commas.
CREATE FUNCTION cofrap.register_keys(needed_keys text, moment int8) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO public.encryption_keys (id, registered_at)
    SELECT needed, moment FROM unnest(string_to_array(needed_keys, ',')) needed
    ON CONFLICT DO NOTHING;
END $$;
