CREATE TABLE customers (
    id TEXT NOT NULL PRIMARY KEY,
    email TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    password TEXT NOT NULL,
    street TEXT,
    city TEXT,
    postcode TEXT,
    country TEXT,
    created_at BIGINT NOT NULL
);
CREATE TABLE sessions (
    hash TEXT NOT NULL PRIMARY KEY,
    customer_id TEXT NOT NULL REFERENCES customers (id),
    signed_in_at BIGINT NOT NULL,
    issued_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_by_customer ON sessions (customer_id, issued_at);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
