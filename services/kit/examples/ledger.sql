CREATE TABLE bookings (
    id TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL,
    number BIGINT NOT NULL
);
CREATE TABLE accounts (
    account TEXT NOT NULL PRIMARY KEY,
    booked BIGINT NOT NULL,
    misordered BIGINT NOT NULL
);
