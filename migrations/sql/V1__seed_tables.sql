-- The three tables of the second generation, as its specification and its functions made them. On an existing database
-- of theirs nothing happens here: its rows stay, and V2 adds what is ours.

CREATE TABLE IF NOT EXISTS users_v2 (
    id SERIAL PRIMARY KEY,
    username VARCHAR(50) NOT NULL UNIQUE,
    password VARCHAR(255) NOT NULL,
    mfa VARCHAR(255),
    gendate BIGINT NOT NULL,
    expired BOOLEAN DEFAULT FALSE,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE IF NOT EXISTS password_history_v2 (
    id SERIAL PRIMARY KEY,
    user_id INTEGER REFERENCES users_v2 (id) ON DELETE CASCADE,
    password VARCHAR(255) NOT NULL,
    gendate BIGINT NOT NULL,
    expired BOOLEAN DEFAULT FALSE,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE IF NOT EXISTS auth_logs_v2 (
    id SERIAL PRIMARY KEY,
    user_id INTEGER REFERENCES users_v2 (id) ON DELETE SET NULL,
    action VARCHAR(50) NOT NULL,
    ip_address INET,
    user_agent TEXT,
    success BOOLEAN NOT NULL,
    details JSONB,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

CREATE INDEX IF NOT EXISTS idx_users_v2_username ON users_v2 (username);
CREATE INDEX IF NOT EXISTS idx_password_history_v2_user_id ON password_history_v2 (user_id);
CREATE INDEX IF NOT EXISTS idx_auth_logs_v2_user_id ON auth_logs_v2 (user_id);
CREATE INDEX IF NOT EXISTS idx_auth_logs_v2_created_at ON auth_logs_v2 (created_at);
