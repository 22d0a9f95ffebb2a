CREATE TABLE tokens (
    token TEXT NOT NULL PRIMARY KEY,
    customer_id TEXT NOT NULL,
    provider_token TEXT NOT NULL,
    last4 TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX tokens_by_age ON tokens (created_at);
CREATE TABLE payments (
    order_id TEXT NOT NULL PRIMARY KEY,
    payment_id TEXT NOT NULL UNIQUE,
    customer_id TEXT NOT NULL,
    amount BIGINT NOT NULL,
    currency TEXT NOT NULL,
    provider_token TEXT NOT NULL,
    last4 TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'succeeded', 'failed', 'refunding', 'refunded', 'void')),
    cancelled BIGINT NOT NULL,
    reason TEXT,
    attempts BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    traceparent TEXT,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);
CREATE INDEX payments_due ON payments (due_at) WHERE state IN ('pending', 'refunding');
