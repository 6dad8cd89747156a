-- What keeps out who should not get in: an account's standing and counters, what ties stored secrets to their rows, how
-- often things may fail, and which keys the rows need.

-- The keys that stored secrets need, by name. None goes while a row refers to it.
CREATE TABLE encryption_keys (
    id TEXT PRIMARY KEY,
    registered_at BIGINT NOT NULL
);

ALTER TABLE users_v2
    -- The operator's marks: disabled since, and whether they ever acted on the account.
    ADD COLUMN disabled_at BIGINT,
    ADD COLUMN operator_touched BOOLEAN NOT NULL DEFAULT FALSE,
    -- Whether a credential was generated while the policy asked for no proof.
    ADD COLUMN legacy BOOLEAN NOT NULL DEFAULT FALSE,
    -- Both factors must be born after this moment; NULL with `expired` set: marked by hand, or because of the age.
    ADD COLUMN expired_since BIGINT,
    -- Until when an account without a second factor may enrol; NULL is for ever.
    ADD COLUMN enrolment_ends BIGINT,
    -- The last generation of either credential: when, and the digest of the address that asked.
    ADD COLUMN generated_at BIGINT,
    ADD COLUMN generated_from TEXT,
    -- Digests of the addresses of the last three complete logins, the newest first.
    ADD COLUMN login_places TEXT[] NOT NULL DEFAULT '{}',
    -- A second factor that waits for its first code beside the one in force.
    ADD COLUMN pending_mfa VARCHAR(255),
    ADD COLUMN pending_mfa_gendate BIGINT,
    -- Wrong codes in a row behind a right password.
    ADD COLUMN otp_failures BIGINT NOT NULL DEFAULT 0,
    -- What tells tokens that something changed since they were given.
    ADD COLUMN login_counter BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN security_counter BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN session_epoch BIGINT NOT NULL DEFAULT 0,
    -- Beside each secret the name of the key that sealed it, and a keyed digest that ties it to this row and column.
    -- Programs that replace a secret set both to NULL.
    ADD COLUMN password_key TEXT REFERENCES encryption_keys (id),
    ADD COLUMN password_binding TEXT,
    ADD COLUMN mfa_key TEXT REFERENCES encryption_keys (id),
    ADD COLUMN mfa_binding TEXT,
    ADD COLUMN pending_mfa_key TEXT REFERENCES encryption_keys (id),
    ADD COLUMN pending_mfa_binding TEXT,
    -- The same for state, origin, operator_touched and disabled_at.
    ADD COLUMN standing_key TEXT REFERENCES encryption_keys (id),
    ADD COLUMN standing_binding TEXT;

ALTER TABLE password_history_v2
    ADD COLUMN password_key TEXT REFERENCES encryption_keys (id),
    ADD COLUMN password_binding TEXT;

-- How often a subject failed. Subjects are digests: of an address, or of a name, whether an account has it or not, with the
-- digest of an address in `place` where an account knows that one.
CREATE TABLE throttles (
    subject TEXT NOT NULL,
    place TEXT NOT NULL,
    failures BIGINT NOT NULL,
    since BIGINT NOT NULL,
    locked_until BIGINT NOT NULL DEFAULT 0,
    -- From then on the row says nothing any more; later statements remove it.
    idle_at BIGINT NOT NULL,
    PRIMARY KEY (subject, place)
);
CREATE INDEX idx_throttles_idle_at ON throttles (idle_at);

-- The operator looks for attempts under a name, whether an account has it or not. Other programs may have written longer ones.
CREATE INDEX idx_auth_logs_v2_username ON auth_logs_v2 (left(details ->> 'username', 50), id);

-- Rows whose secrets other programs wrote: which keys they need is found out by opening some.
CREATE INDEX idx_users_v2_unkeyed ON users_v2 (id) WHERE password_key IS NULL;

-- What refers to a key is looked for when the key is to go.
CREATE INDEX idx_users_v2_password_key ON users_v2 (password_key);
CREATE INDEX idx_password_history_v2_password_key ON password_history_v2 (password_key);
