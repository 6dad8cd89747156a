-- What an account needs besides its credentials. Rows that are there already belong to people who log in with them:
-- they become active, and only now can they be told from new ones.

-- Columns of the specification that some of its databases lack.
ALTER TABLE users_v2
    ADD COLUMN IF NOT EXISTS mfa VARCHAR(255),
    ADD COLUMN IF NOT EXISTS expired BOOLEAN DEFAULT FALSE,
    ADD COLUMN IF NOT EXISTS created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    ADD COLUMN IF NOT EXISTS updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP;

ALTER TABLE users_v2
    ADD COLUMN state TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('provisional', 'active')),
    -- How the row came to be. Only what `generate-password-v2` made under a free name may start over without proof.
    ADD COLUMN origin TEXT NOT NULL DEFAULT 'external' CHECK (origin IN ('generation', 'external')),
    -- The name in one case, unique: two new names never differ in case alone. NULL in rows that other programs wrote
    -- and in the later ones of a pair that was there before.
    ADD COLUMN username_key TEXT UNIQUE,
    -- How often each credential was replaced; a request that saw another number is overtaken.
    ADD COLUMN password_generation BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN mfa_generation BIGINT NOT NULL DEFAULT 0,
    -- The second factor's birth, in seconds since the Unix epoch; NULL counts from `gendate`.
    ADD COLUMN mfa_gendate BIGINT,
    -- The latest 30-second step whose code was accepted. It only rises.
    ADD COLUMN mfa_last_step BIGINT;

ALTER TABLE users_v2 ALTER COLUMN state SET DEFAULT 'provisional';
