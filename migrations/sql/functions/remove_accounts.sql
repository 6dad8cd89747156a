-- Removes accounts that nobody has completed, 30 days after their last credential was issued, unless their password or a code was right since then,
-- or another table refers to them. Returns their names. It is a transaction of its own, because an account is locked before everything else. It belongs to the
-- audit's owner.
CREATE FUNCTION cofrap.remove_accounts(
    -- Attempt: who asked for what, and when.
    action text,
    given_name text, -- or null
    caller_address text, -- or null
    agent text, -- or null
    moment int8,
    account int8, -- or null
    proof text, -- or null
    route text, -- or null: by which component
    -- Own.
    operator_proof text,
    max_rows int8,
    OUT answer text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    long_ago int8 := moment - 30 * 86400;
    unfinished record;
    removed text[] := '{}';
BEGIN
    IF NOT cofrap.is_operator(operator_proof) THEN
        answer := '"not_the_operator"';
        RETURN;
    END IF;
    IF abs(cofrap.clock_offset(moment)) <= 300 THEN
        FOR unfinished IN
            SELECT u.id, u.username FROM public.users_v2 u
            WHERE u.state = 'provisional' AND u.login_counter = 0 AND u.origin IN ('generation', 'creation') AND u.imported_from IS NULL
                  AND NOT u.operator_touched AND u.disabled_at IS NULL AND u.generated_at < long_ago
                  AND NOT cofrap.is_used(u.id, long_ago) AND NOT cofrap.is_referred(u.id)
            ORDER BY u.generated_at LIMIT max_rows
        LOOP
            -- Who is held by somebody is in use: nothing here waits, since others wait for what it has removed.
            PERFORM FROM public.users_v2 u
                WHERE u.id = unfinished.id AND u.state = 'provisional' AND u.login_counter = 0 AND u.origin IN ('generation', 'creation') AND u.imported_from IS NULL
                  AND NOT u.operator_touched AND u.disabled_at IS NULL AND u.generated_at < long_ago
                FOR UPDATE SKIP LOCKED;
            CONTINUE WHEN NOT FOUND OR cofrap.is_used(unfinished.id, long_ago);
            BEGIN
                DELETE FROM public.users_v2 u WHERE u.id = unfinished.id;
                removed := removed || unfinished.username::text;
            EXCEPTION WHEN foreign_key_violation THEN
                -- Somebody refers to it since.
                NULL;
            END;
        END LOOP;
    END IF;
    IF removed <> '{}' THEN
        PERFORM cofrap.note_attempt(
            action, given_name, caller_address, agent, moment, account, proof, route, TRUE, NULL, jsonb_build_object('accounts', to_jsonb(removed)));
    END IF;
    answer := json_build_object('done', removed);
END $$;
