//! Notifications.

use super::{Kind, Metric, Values};

/// Messages by what they are about.
pub const MESSAGES: Metric = Metric {
    name: "shop_messages_total",
    kind: Kind::Counter,
    unit: "messages",
    labels: &[("about", Values::Of(&["order.paid", "order.cancelled", "payment.refunded"]))],
    help: "Messages put into mailboxes, by what they are about.",
    absent: "never",
};

/// Attempts to send mails.
pub const MAILS: Metric = Metric {
    name: "shop_mails_total",
    kind: Kind::Counter,
    unit: "attempts",
    labels: &[("outcome", Values::Of(&["sent", "retried", "refused", "given_up"]))],
    help: "Attempts to send a message by mail; refused and given_up will not be tried again.",
    absent: "never",
};

/// Mails that wait.
pub const MAILS_PENDING: Metric = Metric {
    name: "shop_mails_pending",
    kind: Kind::Gauge,
    unit: "mails",
    labels: &[],
    help: "Mails that the mail server has not taken yet; zero without a mail server.",
    absent: "never",
};

/// All of them.
pub(super) const METRICS: &[Metric] = &[MESSAGES, MAILS, MAILS_PENDING];
