//! The events of the shop: what each tells, who hears it, and how it goes over the wire.
//!
//! An event is JSON: `{"id", "type", "version", "occurred_at", "traceparent", "key", "data"}`. `type` is the routing
//! key. Fields that are not known are passed over, so that a field can be added; a version that is not known is
//! refused, so that a changed meaning is not misread.

mod body;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

pub use body::{
    Customer, Event as Body, EventType, Line, NotificationSent, OrderCancelled, OrderPaid,
    OrderPlaced, PaymentFailed, PaymentRefunded, PaymentSucceeded, Shortage, StockRejected,
    StockReserved,
};

use crate::Peer;

/// The largest event, in bytes of JSON. An order of 50 lines takes some 8 KiB.
pub const MAX_EVENT: usize = 64 << 10;

/// The longest key, in bytes.
const MAX_KEY: usize = 128;

/// Who hears what: every publisher and consumer makes these queues before it does anything else, so that no event is
/// published before those that it concerns can get it.
pub const SUBSCRIPTIONS: &[(Peer, &[EventType])] = &[
    (
        Peer::Inventory,
        &[
            EventType::OrderPlaced,
            EventType::OrderPaid,
            EventType::OrderCancelled,
            EventType::PaymentFailed,
        ],
    ),
    (Peer::Payments, &[EventType::StockReserved, EventType::OrderCancelled]),
    (
        Peer::Orders,
        &[
            EventType::StockReserved,
            EventType::StockRejected,
            EventType::PaymentSucceeded,
            EventType::PaymentFailed,
            EventType::PaymentRefunded,
            EventType::NotificationSent,
        ],
    ),
    (
        Peer::Notifications,
        &[EventType::OrderPaid, EventType::OrderCancelled, EventType::PaymentRefunded],
    ),
    (Peer::Recommendations, &[EventType::OrderPaid]),
];

/// Something that happened, as it travels.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Ordered by time; the same event delivered twice has the same.
    pub id: Uuid,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// The W3C trace it belongs to.
    pub traceparent: Option<String>,
    /// What it is about, such as an order's id: events of one key arrive in the order they were published in.
    pub key: String,
    /// What happened.
    pub body: Body,
}

/// Why bytes are no event.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// Too large.
    #[error("it has {0} bytes, the most is {MAX_EVENT}")]
    Size(usize),
    /// Its key is empty or too long.
    #[error("its key has {0} bytes, not 1 to {MAX_KEY}")]
    Key(usize),
    /// No JSON, or not of this shape.
    #[error("it is no event: {0}")]
    Shape(#[from] serde_json::Error),
    /// Nothing is known of that type.
    #[error("its type is not known")]
    Type,
    /// Known type, unknown version.
    #[error("version {version} of {event} is not known")]
    Version {
        /// Which type.
        event: &'static str,
        /// Which version.
        version: u32,
    },
}

#[derive(Serialize, Deserialize)]
struct Wire {
    id: Uuid,
    #[serde(rename = "type")]
    event: String,
    version: u32,
    occurred_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
    key: String,
    data: Value,
}

impl Event {
    /// An event of now, in the trace of now.
    pub fn new(key: impl Into<String>, body: impl Into<Body>) -> Self {
        Self {
            id: Uuid::now_v7(),
            occurred_at: Timestamp::now(),
            traceparent: crate::trace::traceparent(),
            key: key.into(),
            body: body.into(),
        }
    }

    /// Its type.
    pub fn event_type(&self) -> EventType {
        self.body.event_type()
    }

    /// As it goes over the wire.
    ///
    /// # Errors
    /// When it is larger than [`MAX_EVENT`] or has no fit key.
    pub fn encode(&self) -> Result<Vec<u8>, EventError> {
        check_key(&self.key)?;
        let wire = Wire {
            id: self.id,
            event: self.event_type().name().to_owned(),
            version: self.event_type().version(),
            occurred_at: self.occurred_at,
            traceparent: self.traceparent.clone(),
            key: self.key.clone(),
            data: self.body.data()?,
        };
        let bytes = serde_json::to_vec(&wire)?;
        check_size(&bytes)?;
        Ok(bytes)
    }

    /// What came over the wire.
    ///
    /// # Errors
    /// When it is not an event that this program understands; trying again does not help.
    pub fn decode(bytes: &[u8]) -> Result<Self, EventError> {
        check_size(bytes)?;
        let wire: Wire = serde_json::from_slice(bytes)?;
        check_key(&wire.key)?;
        let event = EventType::named(&wire.event).ok_or(EventError::Type)?;
        if wire.version != event.version() {
            return Err(EventError::Version { event: event.name(), version: wire.version });
        }
        let Wire { id, occurred_at, traceparent, key, data, .. } = wire;
        Ok(Self { id, occurred_at, traceparent, key, body: event.body(data)? })
    }
}

fn check_size(bytes: &[u8]) -> Result<(), EventError> {
    if bytes.len() > MAX_EVENT { Err(EventError::Size(bytes.len())) } else { Ok(()) }
}

fn check_key(key: &str) -> Result<(), EventError> {
    if (1..=MAX_KEY).contains(&key.len()) { Ok(()) } else { Err(EventError::Key(key.len())) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event() -> Event {
        let body = PaymentFailed { order_id: Uuid::now_v7(), reason: "declined".into() };
        Event::new("order-1", body)
    }

    fn changed(field: &str, value: Value) -> Vec<u8> {
        let mut json: Value = serde_json::from_slice(&event().encode().unwrap()).unwrap();
        json[field] = value;
        serde_json::to_vec(&json).unwrap()
    }

    #[test]
    fn what_was_encoded_is_decoded_the_same() {
        let event = event();
        assert_eq!(Event::decode(&event.encode().unwrap()).unwrap(), event);
    }

    #[test]
    fn the_envelope_names_type_version_and_time_as_others_expect_them() {
        let json: Value = serde_json::from_slice(&event().encode().unwrap()).unwrap();
        assert_eq!((&json["type"], &json["version"]), (&json!("payment.failed"), &json!(1)));
        assert!(json["occurred_at"].as_str().unwrap().ends_with('Z'));
        assert_eq!(json["data"]["reason"], "declined");
    }

    #[test]
    fn a_new_field_is_passed_over_and_a_new_version_or_type_is_refused() {
        assert!(Event::decode(&changed("colour", json!("blue"))).is_ok());
        let new = Event::decode(&changed("version", json!(2))).unwrap_err();
        assert!(matches!(new, EventError::Version { version: 2, .. }), "{new}");
        let strange = Event::decode(&changed("type", json!("order.eaten"))).unwrap_err();
        assert!(matches!(strange, EventError::Type), "{strange}");
        assert!(matches!(Event::decode(b"{").unwrap_err(), EventError::Shape(_)));
        assert!(matches!(
            Event::decode(&changed("key", json!(""))).unwrap_err(),
            EventError::Key(0)
        ));
    }

    #[test]
    fn an_event_beyond_the_limit_is_neither_made_nor_read() {
        let body = PaymentFailed { order_id: Uuid::now_v7(), reason: "x".repeat(MAX_EVENT) };
        assert!(matches!(Event::new("a", body).encode(), Err(EventError::Size(_))));
        assert!(matches!(Event::decode(&vec![b' '; MAX_EVENT + 1]), Err(EventError::Size(_))));
    }

    #[test]
    fn every_type_is_found_by_its_name() {
        for event in EventType::ALL {
            assert_eq!(EventType::named(event.name()), Some(*event));
        }
    }
}
