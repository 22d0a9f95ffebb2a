//! Orders and payments.

use super::{Kind, Metric, Values};

/// Seconds. An order passes five services; a minute means that one of them was away.
const BUCKETS: &[f64] = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// Orders by the state they reached.
pub const ORDERS: Metric = Metric {
    name: "shop_orders_total",
    kind: Kind::Counter,
    unit: "orders",
    labels: &[("state", Values::Of(&["placed", "reserved", "paid", "notified", "cancelled"]))],
    help: "Orders that reached the state; one order counts under each state it went through.",
    absent: "never",
};

/// How long an order takes.
pub const ORDER_DURATION: Metric = Metric {
    name: "shop_order_duration_seconds",
    kind: Kind::Histogram(BUCKETS),
    unit: "seconds",
    labels: &[],
    help: "Time from an order's placement until its customer was notified.",
    absent: "never",
};

/// Charges and refunds.
pub const PAYMENTS: Metric = Metric {
    name: "shop_payments_total",
    kind: Kind::Counter,
    unit: "payments",
    labels: &[("outcome", Values::Of(&["succeeded", "declined", "failed", "refunded"]))],
    help: "Payments by what came of them; failed: the provider did not answer. A refund counts beside its charge.",
    absent: "never",
};

/// All of them.
pub(super) const METRICS: &[Metric] = &[ORDERS, ORDER_DURATION, PAYMENTS];
