//! Recommendations.

use super::{Kind, Metric};

/// Orders learned from.
pub const ORDERS: Metric = Metric {
    name: "recommendations_orders_total",
    kind: Kind::Counter,
    unit: "orders",
    labels: &[],
    help: "Orders learned from.",
    absent: "never",
};

/// Items known.
pub const ITEMS: Metric = Metric {
    name: "recommendations_items",
    kind: Kind::Gauge,
    unit: "items",
    labels: &[],
    help: "Items known now.",
    absent: "never",
};

/// Items that gave way.
pub const EVICTED: Metric = Metric {
    name: "recommendations_evicted_items_total",
    kind: Kind::Counter,
    unit: "items",
    labels: &[],
    help: "Items that gave way because the model was full.",
    absent: "never",
};

/// All of them.
pub(super) const METRICS: &[Metric] = &[ORDERS, ITEMS, EVICTED];
