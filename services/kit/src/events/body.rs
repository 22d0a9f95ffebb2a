//! What each event tells. Money in cents.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// Makes the types of events from one table: variant, name on the wire, version, whose body is the struct of the
/// same name.
macro_rules! events {
    ($($event:ident = $name:literal version $version:literal,)*) => {
        /// The types of events.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum EventType {
            $(#[doc = concat!("`", $name, "`")] $event,)*
        }

        impl EventType {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$event,)*];

            /// The name on the wire: the routing key.
            pub fn name(self) -> &'static str {
                match self { $(Self::$event => $name,)* }
            }

            /// The version that this program writes and reads.
            pub fn version(self) -> u32 {
                match self { $(Self::$event => $version,)* }
            }

            pub(super) fn body(self, data: Value) -> Result<Event, serde_json::Error> {
                Ok(match self { $(Self::$event => Event::$event(serde_json::from_value(data)?),)* })
            }
        }

        /// What happened.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Event {
            $(#[doc = concat!("`", $name, "`")] $event($event),)*
        }

        impl Event {
            /// Its type.
            pub fn event_type(&self) -> EventType {
                match self { $(Self::$event(_) => EventType::$event,)* }
            }

            pub(super) fn data(&self) -> Result<Value, serde_json::Error> {
                match self { $(Self::$event(body) => serde_json::to_value(body),)* }
            }
        }

        $(impl From<$event> for Event {
            fn from(body: $event) -> Self {
                Self::$event(body)
            }
        })*
    };
}

events! {
    OrderPlaced = "order.placed" version 1,
    OrderPaid = "order.paid" version 1,
    OrderCancelled = "order.cancelled" version 1,
    StockReserved = "stock.reserved" version 1,
    StockRejected = "stock.rejected" version 1,
    PaymentSucceeded = "payment.succeeded" version 1,
    PaymentFailed = "payment.failed" version 1,
    PaymentRefunded = "payment.refunded" version 1,
    NotificationSent = "notification.sent" version 1,
}

impl EventType {
    /// The type of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|event| event.name() == name).copied()
    }
}

/// Who ordered, as messages address them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    /// Their id.
    pub id: Uuid,
    /// Where messages go.
    pub email: String,
    /// How they are addressed.
    pub name: String,
}

/// One line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The product's id.
    pub product_id: String,
    /// Its name when it was ordered.
    pub name: String,
    /// How many.
    pub quantity: u32,
    /// The price of one, in cents.
    pub unit_price: i64,
}

/// An order was accepted; stock is to be reserved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPlaced {
    /// Which.
    pub order_id: Uuid,
    /// What people call it.
    pub number: String,
    /// Whose.
    pub customer: Customer,
    /// What.
    pub lines: Vec<Line>,
    /// What all of it costs, in cents.
    pub total: i64,
    /// ISO 4217.
    pub currency: String,
    /// What stands for the card.
    pub payment_token: String,
}

/// The stock of all lines is kept for the order; it is to be paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockReserved {
    /// Which order.
    pub order_id: Uuid,
    /// Whose.
    pub customer_id: Uuid,
    /// What is to be paid, in cents.
    pub total: i64,
    /// ISO 4217.
    pub currency: String,
    /// What stands for the card.
    pub payment_token: String,
}

/// A product of which there is too little.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortage {
    /// Its id.
    pub product_id: String,
    /// How many were wanted.
    pub wanted: u32,
    /// How many there are.
    pub available: u32,
}

/// Nothing is kept for the order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockRejected {
    /// Which order.
    pub order_id: Uuid,
    /// Why, for the customer.
    pub reason: String,
    /// What was short.
    pub shortages: Vec<Shortage>,
}

/// The customer paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentSucceeded {
    /// For which order.
    pub order_id: Uuid,
    /// The charge.
    pub payment_id: Uuid,
    /// How much, in cents.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
}

/// The customer could not pay; nothing was charged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentFailed {
    /// For which order.
    pub order_id: Uuid,
    /// Why, for the customer.
    pub reason: String,
}

/// What was paid was given back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentRefunded {
    /// For which order.
    pub order_id: Uuid,
    /// The charge.
    pub payment_id: Uuid,
    /// How much, in cents.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
}

/// The order is paid: its stock is sold, its customer is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPaid {
    /// Which.
    pub order_id: Uuid,
    /// What people call it.
    pub number: String,
    /// Whose.
    pub customer: Customer,
    /// What.
    pub lines: Vec<Line>,
    /// What was paid, in cents.
    pub total: i64,
    /// ISO 4217.
    pub currency: String,
    /// The charge.
    pub payment_id: Uuid,
}

/// The order is over before it was sent: its stock is free again, what was paid is given back, its customer is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCancelled {
    /// Which.
    pub order_id: Uuid,
    /// What people call it.
    pub number: String,
    /// Whose.
    pub customer: Customer,
    /// What it would have cost, in cents.
    pub total: i64,
    /// ISO 4217.
    pub currency: String,
    /// Why, for the customer.
    pub reason: String,
}

/// The customer was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationSent {
    /// About which order.
    pub order_id: Uuid,
    /// The message.
    pub message_id: Uuid,
    /// What about: `order.paid` or `order.cancelled`.
    pub about: String,
}
