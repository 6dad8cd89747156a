-- Forgets the counts of an address, for an operator.
CREATE FUNCTION cofrap.free_address(
    -- Attempt: who asked for what, and when.
    action text,
    given_name text, -- or null
    caller_address text, -- or null
    agent text, -- or null
    moment int8,
    account int8, -- or null
    proof text, -- or null
    route text, -- or null: by which component
    -- Limits: what is counted, and how much of it there may be.
    issuances_subject text, -- or null: not counted
    issuances_limit int8,
    issuances_window int8,
    address_subject text, -- or null: not counted
    address_added int8,
    address_limit int8,
    address_window int8,
    name_subject text, -- or null: not counted
    name_place text,
    name_effect text,
    name_limit int8,
    first_lock int8,
    longest_lock int8,
    name_memory int8,
    -- Own.
    operator_proof text,
    freed text,
    freed_subject text,
    freed_issuances_subject text,
    freed_operator_subject text, -- as the route without the encryption key counts it
    OUT answer text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    outcome text := 'done';
BEGIN
    IF NOT cofrap.admit_operator(operator_proof) THEN
        answer := '"not_the_operator"';
        RETURN;
    END IF;
    IF cofrap.pass_limits(
        moment, issuances_subject, issuances_limit, issuances_window, address_subject, address_added, address_limit,
        address_window, name_subject, name_place, name_effect, name_limit, first_lock, longest_lock, name_memory) THEN
        -- In the order in which they are locked elsewhere.
        DELETE FROM public.throttles t WHERE t.subject = freed_issuances_subject;
        DELETE FROM public.throttles t WHERE t.subject = freed_subject;
        DELETE FROM public.throttles t WHERE t.subject = freed_operator_subject;
    ELSE
        outcome := 'too_many_attempts';
    END IF;
    PERFORM cofrap.note_attempt(
        action, given_name, caller_address, agent, moment, account, proof, route, outcome = 'done', nullif(outcome, 'done'),
        jsonb_build_object('address', freed));
    answer := CASE outcome WHEN 'done' THEN '{"done":null}' ELSE to_json(outcome)::text END;
END $$;
