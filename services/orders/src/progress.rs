//! What happens to orders: events, cancellations and time have their effect in one transaction with what others hear.

use async_trait::async_trait;
use prometheus::{Error, Histogram, IntCounterVec, Registry};
use services_kit::catalogue::orders as metrics;
use services_kit::events::{Body, Event, EventType};
use services_kit::inbox::{Handler, HandlerError};
use services_kit::outbox::Outbox;
use services_kit::store::{StoreError, Tx, now_ms};
use uuid::Uuid;

use crate::order::{Happening, Order, State, Step};
use crate::store;

/// Moves orders and counts them. Clones are the same.
#[derive(Clone)]
pub(crate) struct Progress {
    orders: IntCounterVec,
    duration: Histogram,
}

/// An order after something happened, and the states it reached thereby.
#[derive(Debug)]
pub(crate) struct Moved {
    pub(crate) order: Order,
    reached: Vec<Step>,
}

impl Progress {
    pub(crate) fn register(registry: &Registry) -> Result<Self, Error> {
        Ok(Self {
            orders: metrics::ORDERS.counter(registry)?,
            duration: metrics::ORDER_DURATION.histogram(registry)?.with_label_values::<&str>(&[]),
        })
    }

    /// Counts an order that was placed just now.
    pub(crate) fn placed(&self) {
        self.orders.with_label_values(&[State::Placed.name()]).inc();
    }

    /// Counts what an order reached; to be called when it is committed.
    pub(crate) fn count(&self, moved: &Moved) {
        for Step { state, at } in &moved.reached {
            self.orders.with_label_values(&[state.name()]).inc();
            if *state == State::Notified {
                self.duration.observe((at - moved.order.placed_at()) as f64 / 1000.0);
            }
        }
    }
}

/// Lets something happen to an order; None if there is no such order.
pub(crate) async fn happens(
    tx: &mut Tx,
    id: Uuid,
    what: Happening<'_>,
    now: i64,
) -> Result<Option<Moved>, StoreError> {
    let Some(mut order) = store::lock(tx, id).await? else { return Ok(None) };
    let steps = order.history.len();
    if order.happens(what, now) {
        store::update(tx, &order).await?;
    }
    let reached = order.history[steps..].to_vec();
    for body in reached.iter().filter_map(|step| order.told(step.state)) {
        Outbox::add(tx, &Event::new(id.to_string(), body)).await?;
    }
    Ok(Some(Moved { order, reached }))
}

/// What an event means for which order.
fn meaning(body: &Body) -> Option<(Uuid, Happening<'_>)> {
    Some(match body {
        Body::StockReserved(event) => (event.order_id, Happening::Reserved),
        Body::StockRejected(event) => (event.order_id, Happening::Rejected(&event.reason)),
        Body::PaymentSucceeded(event) => (event.order_id, Happening::Charged(event.payment_id)),
        Body::PaymentFailed(event) => (event.order_id, Happening::Declined(&event.reason)),
        Body::PaymentRefunded(event) => (event.order_id, Happening::Refunded),
        Body::NotificationSent(event) if event.about == EventType::OrderPaid.name() => {
            (event.order_id, Happening::Notified)
        }
        _ => return None,
    })
}

#[async_trait]
impl Handler for Progress {
    async fn handle(&self, tx: &mut Tx, event: &Event) -> Result<(), HandlerError> {
        let Some((id, what)) = meaning(&event.body) else { return Ok(()) };
        let moved = happens(tx, id, what, now_ms()).await?;
        let moved = moved.ok_or_else(|| HandlerError::Never("there is no such order".into()))?;
        let progress = self.clone();
        tx.after(move || progress.count(&moved));
        Ok(())
    }
}
