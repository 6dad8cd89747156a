-- Accounts of the first generation: made with a chosen password, or taken over from its table `users`.

ALTER TABLE users_v2 DROP CONSTRAINT users_v2_origin_check;
ALTER TABLE users_v2
    ADD CONSTRAINT users_v2_origin_check CHECK (origin IN ('generation', 'creation', 'external')),
    -- The row of `users` that the account was taken over from: none is taken over twice.
    ADD COLUMN imported_from BIGINT UNIQUE;
