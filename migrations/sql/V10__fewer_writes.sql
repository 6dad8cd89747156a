-- A login writes its account's row anew in the same page, and no index of the table.

-- Whoever locks a table in steps and whoever writes it lock each other out. The runner gives up soon, and tries again.
LOCK TABLE users_v2 IN ACCESS EXCLUSIVE MODE;

-- A row is written beside its former version (a heap-only tuple) where the page has room and no index speaks of a column that changed. The
-- index of accounts that were never completed spoke of `login_counter`, in its condition. The runner has made the new one beside the writers.
DROP INDEX IF EXISTS idx_users_v2_unfinished;
CREATE INDEX IF NOT EXISTS idx_users_v2_provisional ON users_v2 (generated_at) WHERE state = 'provisional';

-- Room for one row in a page of seven; in the pages that new accounts come to.
ALTER TABLE users_v2 SET (fillfactor = 80);

-- Whoever counts a failure of a name writes its account's row, by which a login that waits for it sees that it was not alone. The functions
-- of versions before, which run beside these for a while, only locked it.
DO $$ DECLARE definition text;
BEGIN
    FOR definition IN
        SELECT replace(pg_get_functiondef(p.oid), 'PERFORM FROM public.users_v2 u WHERE u.id = account FOR NO KEY UPDATE',
                       'UPDATE public.users_v2 u SET otp_failures = u.otp_failures WHERE u.id = account')
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname ~ '^cofrap_[0-9]+$' AND p.proname = 'refuse' AND p.prokind = 'f'
              AND p.prosrc LIKE '%PERFORM FROM public.users_v2 u WHERE u.id = account FOR NO KEY UPDATE%'
    LOOP
        EXECUTE definition;
    END LOOP;
END $$;
