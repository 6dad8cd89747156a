-- Attempts on an account are found by its number; by the name, those on none. First, since it takes a while and only the audit's
-- writers wait for it. The index of every name goes once no components of version 5 run: `migrate --retire`.
CREATE INDEX idx_auth_logs_v2_nobody ON auth_logs_v2 (left(details ->> 'username', 50), id) WHERE user_id IS NULL;

-- What a number alone does not say: that the account is still the one, and the database too. Tokens are bound to both, so that a number
-- that is used again after a restore opens nothing. Rows of other programs get theirs with their first right password.
ALTER TABLE users_v2 ADD COLUMN identity TEXT;
CREATE TABLE installation (
    is_the_one BOOLEAN PRIMARY KEY DEFAULT TRUE,
    identity TEXT NOT NULL
);
INSERT INTO installation (identity) VALUES (replace(gen_random_uuid()::text, '-', ''));

-- PostgreSQL parses these anew for each statement that writes the table, which a login paid for. Nobody but the database's functions
-- writes the columns, and whoever reads a word that is none of these says so.
ALTER TABLE users_v2 DROP CONSTRAINT IF EXISTS users_v2_state_check;
ALTER TABLE users_v2 DROP CONSTRAINT IF EXISTS users_v2_origin_check;
