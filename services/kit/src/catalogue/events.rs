//! Events: what waits in the outbox, what was published and consumed, what was given up; and the store's connections.

use super::{Kind, Metric, Values};

/// Seconds. An event's effect is one transaction; beyond 10 s it has been tried again.
const BUCKETS: &[f64] = &[0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

const TYPE: (&str, Values) = ("type", Values::Bounded("the event's type, such as order.placed"));

/// Events that wait to be published.
pub const OUTBOX_PENDING: Metric = Metric {
    name: "shop_outbox_pending",
    kind: Kind::Gauge,
    unit: "events",
    labels: &[],
    help: "Events in the outbox that are not published yet.",
    absent: "in services without an outbox",
};

/// How long the oldest waits.
pub const OUTBOX_OLDEST_AGE: Metric = Metric {
    name: "shop_outbox_oldest_age_seconds",
    kind: Kind::Gauge,
    unit: "seconds",
    labels: &[],
    help: "How long the oldest event has waited in the outbox; 0 when none does.",
    absent: "in services without an outbox",
};

/// Events published.
pub const PUBLISHED: Metric = Metric {
    name: "shop_events_published_total",
    kind: Kind::Counter,
    unit: "attempts",
    labels: &[TYPE, ("outcome", Values::Bounded("confirmed, failed"))],
    help: "Attempts to publish an event by whether the bus confirmed it.",
    absent: "in services without an outbox",
};

/// Events consumed.
pub const CONSUMED: Metric = Metric {
    name: "shop_events_consumed_total",
    kind: Kind::Counter,
    unit: "deliveries",
    labels: &[TYPE, ("outcome", Values::Bounded("done, duplicate, retried, dead"))],
    help: "Deliveries of events by what became of them; a duplicate had its effect before.",
    absent: "in services that consume no events",
};

/// How long their effects took.
pub const HANDLING: Metric = Metric {
    name: "shop_event_handling_seconds",
    kind: Kind::Histogram(BUCKETS),
    unit: "seconds",
    labels: &[TYPE],
    help: "Time an event's effect took, its transaction included.",
    absent: "in services that consume no events",
};

/// Events that were given up.
pub const DEAD_LETTERS: Metric = Metric {
    name: "shop_dead_letters",
    kind: Kind::Gauge,
    unit: "events",
    labels: &[("service", Values::Bounded("the service that gave up"))],
    help: "Events that were given up after the last attempt and wait to be driven again.",
    absent: "in services that consume no events",
};

/// Connections of the store.
pub const POOL: Metric = Metric {
    name: "shop_db_pool_connections",
    kind: Kind::Gauge,
    unit: "connections",
    labels: &[("state", Values::Of(&["idle", "used"]))],
    help: "Connections to the database by whether somebody uses them.",
    absent: "in services without a store",
};

/// Questions that the cache did not answer.
pub const CACHE_ERRORS: Metric = Metric {
    name: "shop_cache_errors_total",
    kind: Kind::Counter,
    unit: "calls",
    labels: &[],
    help: "Calls that Redis did not answer; the service went on as if nothing was cached.",
    absent: "in services without a cache",
};

/// All of them.
pub(super) const METRICS: &[Metric] = &[
    OUTBOX_PENDING,
    OUTBOX_OLDEST_AGE,
    PUBLISHED,
    CONSUMED,
    HANDLING,
    DEAD_LETTERS,
    POOL,
    CACHE_ERRORS,
];
