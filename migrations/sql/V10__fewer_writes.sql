-- A login writes its account's row anew in the same page, and no index of the table.

-- A row is written beside its former version (a heap-only tuple) where the page has room and no index speaks of a column that changed. The
-- index of accounts that were never completed spoke of `login_counter`, in its condition. The runner has made the new one beside the writers.
CREATE INDEX IF NOT EXISTS idx_users_v2_provisional ON users_v2 (generated_at) WHERE state = 'provisional';
DROP INDEX idx_users_v2_unfinished;

-- Room for one row in a page of seven; in the pages that new accounts come to.
ALTER TABLE users_v2 SET (fillfactor = 80);
