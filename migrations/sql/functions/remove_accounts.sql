-- Removes accounts that anybody made and nobody completed, 30 days after the last generation, unless their password or a code was right since, or
-- another table refers to them; their names. A transaction of its own: an account is locked before everything else. It belongs to the
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
                  AND NOT EXISTS (
                      SELECT FROM public.auth_logs_v2 l
                      WHERE l.user_id = u.id AND l.success AND l.action IN ('password_verified', 'code_verified')
                            AND l.created_at >= to_timestamp(long_ago) AT TIME ZONE 'UTC')
                  AND NOT cofrap.is_referred(u.id)
            ORDER BY u.generated_at LIMIT max_rows
        LOOP
            BEGIN
                DELETE FROM public.users_v2 u
                    WHERE u.id = unfinished.id AND u.state = 'provisional' AND u.login_counter = 0
                          AND NOT u.operator_touched AND u.disabled_at IS NULL AND u.generated_at < long_ago;
                removed := removed || CASE WHEN FOUND THEN ARRAY[unfinished.username::text] ELSE '{}' END;
            EXCEPTION WHEN foreign_key_violation OR lock_not_available THEN
                -- Somebody refers to it since, or holds it: the next time.
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
