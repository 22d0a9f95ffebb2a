CREATE TABLE inbox (
    id TEXT NOT NULL PRIMARY KEY,
    handled_at BIGINT NOT NULL
);
CREATE INDEX inbox_by_age ON inbox (handled_at);
CREATE TABLE inbox_failures (
    id TEXT NOT NULL PRIMARY KEY,
    attempts BIGINT NOT NULL,
    last_error TEXT NOT NULL,
    failed_at BIGINT NOT NULL
);
CREATE TABLE dead_letters (
    id TEXT NOT NULL PRIMARY KEY,
    type TEXT NOT NULL,
    event_key TEXT NOT NULL,
    body TEXT NOT NULL,
    reason TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    died_at BIGINT NOT NULL
);
CREATE INDEX dead_letters_by_age ON dead_letters (died_at);
