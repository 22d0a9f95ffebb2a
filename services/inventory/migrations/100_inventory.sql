CREATE TABLE categories (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    place BIGINT NOT NULL
);

CREATE TABLE products (
    id TEXT NOT NULL PRIMARY KEY,
    sku TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    category TEXT NOT NULL REFERENCES categories (id),
    description TEXT NOT NULL,
    text TEXT NOT NULL,
    price BIGINT NOT NULL CHECK (price >= 0),
    rank BIGINT NOT NULL UNIQUE,
    available BIGINT NOT NULL CHECK (available >= 0),
    sold BIGINT NOT NULL CHECK (sold >= 0)
);

CREATE INDEX products_by_category ON products (category);

CREATE TABLE reservations (
    order_id TEXT NOT NULL PRIMARY KEY,
    state TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);

CREATE INDEX reservations_that_expire ON reservations (expires_at) WHERE state = 'reserved';

CREATE INDEX reservations_by_change ON reservations (changed_at);

CREATE TABLE reservation_lines (
    order_id TEXT NOT NULL,
    product_id TEXT NOT NULL,
    quantity BIGINT NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (order_id, product_id)
);

CREATE INDEX reservation_lines_by_product ON reservation_lines (product_id);
