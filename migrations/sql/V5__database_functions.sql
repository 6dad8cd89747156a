-- The functions' statements are functions of the database from here on: the runner makes them, beside this file, in the schema
-- `cofrap_5`. The tables get the indexes that these, and large databases, need, and lose those that serve nothing.

-- The unique constraint has one of its own; nobody asks for attempts by their time, which their numbers follow.
DROP INDEX IF EXISTS idx_users_v2_username;
DROP INDEX IF EXISTS idx_auth_logs_v2_created_at;

-- The last attempts on one account.
CREATE INDEX idx_auth_logs_v2_account ON auth_logs_v2 (user_id, id);
DROP INDEX IF EXISTS idx_auth_logs_v2_user_id;

-- Some Fernet tokens of other programs, whatever else they wrote: every request opens up to three.
CREATE INDEX idx_users_v2_foreign_tokens ON users_v2 (id)
    WHERE password_key IS NULL AND length(password) >= 100 AND password LIKE 'gAAAAA%';
DROP INDEX IF EXISTS idx_users_v2_unkeyed;

-- What a rotation has left to move, and who refers to a key that is to go.
CREATE INDEX idx_users_v2_standing_key ON users_v2 (standing_key);
CREATE INDEX idx_users_v2_mfa_key ON users_v2 (mfa_key) WHERE mfa_key IS NOT NULL;
CREATE INDEX idx_users_v2_pending_mfa_key ON users_v2 (pending_mfa_key) WHERE pending_mfa_key IS NOT NULL;
CREATE INDEX idx_users_v2_unkeyed_mfa ON users_v2 (id) WHERE mfa <> '' AND mfa_key IS NULL;

-- A login changes no indexed column: with room in its page, it changes no index either.
ALTER TABLE users_v2 SET (fillfactor = 85);
ALTER TABLE throttles SET (fillfactor = 70);
