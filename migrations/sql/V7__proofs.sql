-- What counts as proof, and for how long.

-- The password before the present one, as it stood beside its key and binding: whose answer got lost, and who therefore never saw the
-- new one, proves with it and a code who they are, until the new one is used or the moment has come.
ALTER TABLE users_v2
    ADD COLUMN previous_password VARCHAR(255),
    ADD COLUMN previous_password_key TEXT,
    ADD COLUMN previous_password_binding TEXT,
    ADD COLUMN previous_password_ends BIGINT;

-- Sessions that were ended one by one, by the name that all their tokens have, until the last of these has ended by itself.
CREATE TABLE ended_sessions (
    user_id INTEGER NOT NULL REFERENCES users_v2 (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    ends_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, id)
);
CREATE INDEX idx_ended_sessions_ends_at ON ended_sessions (ends_at);

-- What tells the operator's components from others: the digest of a digest of the operator's token. NULL until `migrate` is given the
-- token, or an operator's route is used.
ALTER TABLE installation ADD COLUMN operator_digest TEXT;

-- What made the keys by which names are compared (NULL: letters in one case), and up to which account's number the runner has looked: it makes
-- all keys anew when that is not its own way, and else looks at those that came since, which a version before may have made.
ALTER TABLE installation
    ADD COLUMN sameness TEXT,
    ADD COLUMN sameness_up_to BIGINT NOT NULL DEFAULT 0;
