CREATE TABLE lessons (
    order_id TEXT NOT NULL PRIMARY KEY,
    items TEXT NOT NULL,
    learned_at BIGINT NOT NULL
);
CREATE INDEX lessons_by_age ON lessons (learned_at);
