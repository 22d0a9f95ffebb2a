CREATE TABLE cart_lines (
    owner TEXT NOT NULL,
    product_id TEXT NOT NULL,
    quantity BIGINT NOT NULL CHECK (quantity > 0),
    added_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (owner, product_id)
);

CREATE INDEX cart_lines_by_change ON cart_lines (changed_at);

CREATE TABLE orders (
    id TEXT NOT NULL PRIMARY KEY,
    number TEXT NOT NULL UNIQUE,
    customer_id TEXT NOT NULL,
    customer_email TEXT NOT NULL,
    customer_name TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    history TEXT NOT NULL,
    lines TEXT NOT NULL,
    total BIGINT NOT NULL CHECK (total >= 0),
    currency TEXT NOT NULL,
    address TEXT NOT NULL,
    last4 TEXT NOT NULL,
    payment_state TEXT NOT NULL,
    payment_id TEXT,
    placed_at BIGINT NOT NULL
);

CREATE INDEX orders_of_customer ON orders (customer_id, id);

CREATE INDEX orders_not_paid ON orders (placed_at) WHERE state IN ('placed', 'reserved');

CREATE TABLE checkouts (
    customer_id TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    answer TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (customer_id, idempotency_key)
);

CREATE INDEX checkouts_by_age ON checkouts (created_at);
