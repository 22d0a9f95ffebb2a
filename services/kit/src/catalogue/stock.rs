//! Stock.

use super::{Kind, Metric, Values};

/// Reservations by what became of them.
pub const RESERVATIONS: Metric = Metric {
    name: "shop_stock_reservations_total",
    kind: Kind::Counter,
    unit: "reservations",
    labels: &[(
        "outcome",
        Values::Of(&["reserved", "rejected", "committed", "released", "expired"]),
    )],
    help: "Reservations of stock by what became of them; one counts as reserved and once more when it ends.",
    absent: "never",
};

/// All of them.
pub(super) const METRICS: &[Metric] = &[RESERVATIONS];
