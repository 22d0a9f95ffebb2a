//! An order, and what may happen to it.
//!
//! ```text
//! placed ──stock.reserved──▶ reserved ──payment.succeeded──▶ paid ──notification.sent──▶ notified
//!    │                          │                             │                            ┆
//!    ╰── stock.rejected, payment.failed, time, the customer ──┴──▶ cancelled ◀┄stock.rejected┄╯
//! ```
//!
//! What does not go with the state it finds is passed over, so that events may come twice and in another order than
//! they happened: money that arrives before the word of the stock counts for both; what comes after the cancellation
//! changes what is known of the payment and nothing else. Stock can be gone for an order that was paid, if it took so
//! long that its reservation expired; then even a finished order is cancelled, and the money given back.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use services_kit::events::{self, Body, Customer, OrderCancelled, OrderPaid, OrderPlaced};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::address::Address;

/// Where an order is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Accepted.
    Placed,
    /// Its stock is kept.
    Reserved,
    /// It is paid, its stock sold.
    Paid,
    /// Its customer was told: done.
    Notified,
    /// Over before it was done.
    Cancelled,
}

impl State {
    /// Its name in the store, on the wire and as a label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Placed => "placed",
            Self::Reserved => "reserved",
            Self::Paid => "paid",
            Self::Notified => "notified",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Where its payment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Payment {
    /// Not charged yet.
    Pending,
    /// Charged.
    Paid,
    /// Not charged, and it will not be.
    Failed,
    /// Charged, and given back.
    Refunded,
}

impl Payment {
    /// Its name in the store and on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Paid => "paid",
            Self::Failed => "failed",
            Self::Refunded => "refunded",
        }
    }
}

/// A state and when it was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Which.
    pub state: State,
    /// When, in unix milliseconds.
    pub at: i64,
}

/// What was ordered of one product, as it was then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The product's id.
    pub product_id: String,
    /// Its name.
    pub name: String,
    /// The address of its picture.
    pub picture: String,
    /// The price of one, in cents.
    pub price: i64,
    /// How many, 1 to 99.
    pub quantity: u32,
}

impl Line {
    /// What all of it costs, in cents.
    pub fn total(&self) -> i64 {
        self.price.saturating_mul(i64::from(self.quantity))
    }
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its id; later ones sort after earlier ones.
    pub id: Uuid,
    /// What people call it.
    pub number: String,
    /// Whose, as they were when they ordered.
    pub customer: Customer,
    /// Where it is.
    pub state: State,
    /// Why it was cancelled.
    pub reason: Option<String>,
    /// The states it went through.
    pub history: Vec<Step>,
    /// What was ordered.
    pub lines: Vec<Line>,
    /// What it costs, in cents.
    pub total: i64,
    /// ISO 4217.
    pub currency: String,
    /// Where it goes.
    pub address: Address,
    /// The last four digits of the card.
    pub last4: String,
    /// Where its payment is.
    pub payment: Payment,
    /// The charge, once there is one.
    pub payment_id: Option<Uuid>,
}

/// What can happen to an order.
#[derive(Clone, Copy, Debug)]
pub enum Happening<'a> {
    /// Its stock is kept.
    Reserved,
    /// There is too little, for this reason.
    Rejected(&'a str),
    /// It was charged.
    Charged(Uuid),
    /// It could not be charged, for this reason.
    Declined(&'a str),
    /// The charge was given back.
    Refunded,
    /// Its customer was told that it is paid.
    Notified,
    /// Its customer does not want it any more.
    Cancelled,
    /// It took too long to be paid.
    TimedOut,
}

const CANCELLED: &str = "You cancelled this order.";

const TIMED_OUT: &str =
    "We could not finish this order in time. If your card was charged, the money is given back.";

impl Order {
    /// Lets something happen; true if it changed anything. The new states are at the end of the history.
    pub fn happens(&mut self, what: Happening<'_>, now: i64) -> bool {
        use State::{Cancelled, Notified, Paid, Placed, Reserved};
        let before = (self.state, self.payment, self.payment_id);
        match (what, self.state) {
            (Happening::Reserved, Placed) => self.reaches(Reserved, now),
            (Happening::Rejected(reason), Placed | Reserved | Paid | Notified) => {
                self.ends(reason, now);
            }
            (Happening::Charged(charge), state) => {
                self.payment_id = Some(charge);
                if self.payment != Payment::Refunded {
                    self.payment = Payment::Paid;
                }
                if state == Placed {
                    self.reaches(Reserved, now);
                }
                if matches!(state, Placed | Reserved) {
                    self.reaches(Paid, now);
                }
            }
            (Happening::Declined(reason), Placed | Reserved) => self.ends(reason, now),
            (Happening::Refunded, _) => self.payment = Payment::Refunded,
            (Happening::Notified, Paid) => self.reaches(Notified, now),
            (Happening::Cancelled, Placed | Reserved | Paid) => self.ends(CANCELLED, now),
            (Happening::TimedOut, Placed | Reserved) => self.ends(TIMED_OUT, now),
            (_, Placed | Reserved | Paid | Notified | Cancelled) => {}
        }
        before != (self.state, self.payment, self.payment_id)
    }

    fn reaches(&mut self, state: State, now: i64) {
        self.state = state;
        self.history.push(Step { state, at: now });
    }

    /// A charge under way may still arrive: then the payment is paid after all, and refunded.
    fn ends(&mut self, reason: &str, now: i64) {
        if self.payment == Payment::Pending {
            self.payment = Payment::Failed;
        }
        self.reason = Some(sentence(reason));
        self.reaches(State::Cancelled, now);
    }

    /// When it was placed, in unix milliseconds.
    pub fn placed_at(&self) -> i64 {
        self.history.first().map_or(0, |step| step.at)
    }

    /// What the others hear when it is placed. The token goes to the payments service and is kept nowhere here.
    pub fn placed(&self, payment_token: String) -> Body {
        Body::OrderPlaced(OrderPlaced {
            order_id: self.id,
            number: self.number.clone(),
            customer: self.customer.clone(),
            lines: self.event_lines(),
            total: self.total,
            currency: self.currency.clone(),
            payment_token,
        })
    }

    /// What the others hear when it reaches a state, if they do.
    pub fn told(&self, state: State) -> Option<Body> {
        match state {
            State::Paid => Some(Body::OrderPaid(OrderPaid {
                order_id: self.id,
                number: self.number.clone(),
                customer: self.customer.clone(),
                lines: self.event_lines(),
                total: self.total,
                currency: self.currency.clone(),
                payment_id: self.payment_id.unwrap_or_default(),
            })),
            State::Cancelled => Some(Body::OrderCancelled(OrderCancelled {
                order_id: self.id,
                number: self.number.clone(),
                customer: self.customer.clone(),
                total: self.total,
                currency: self.currency.clone(),
                reason: self.reason.clone().unwrap_or_default(),
            })),
            State::Placed | State::Reserved | State::Notified => None,
        }
    }

    fn event_lines(&self) -> Vec<events::Line> {
        let line = |line: &Line| events::Line {
            product_id: line.product_id.clone(),
            name: line.name.clone(),
            quantity: line.quantity,
            unit_price: line.price,
        };
        self.lines.iter().map(line).collect()
    }
}

/// A reason as people read it: from a capital to a full stop, whoever gave it.
fn sentence(reason: &str) -> String {
    let mut rest = reason.trim().chars();
    let mut text: String = rest.next().into_iter().flat_map(char::to_uppercase).collect();
    text.extend(rest);
    if text.ends_with(char::is_alphanumeric) {
        text.push('.');
    }
    text
}

/// Unix milliseconds as a point in time.
pub(crate) fn moment(at: i64) -> Timestamp {
    Timestamp::from_millisecond(at).unwrap_or_default()
}

#[cfg(test)]
mod tests;
