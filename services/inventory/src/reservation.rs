//! Reservations: the stock of an order from its placement to its end, moved by events.
//!
//! | event | no reservation yet | reserved | committed | expired | rejected, released |
//! |---|---|---|---|---|---|
//! | `order.placed` | reserved or rejected | – | – | – | – |
//! | `order.paid` | as expired | committed | – | committed if there still is stock, else rejected | – |
//! | `payment.failed` | released | released | – | released | – |
//! | `order.cancelled` | released | released | released | released | – |
//! | time | | expired | | | |
//!
//! Whatever the order in which they come: a release that comes before its reservation leaves a mark, so that nothing
//! is reserved later for an order that is over. An order that was paid after its reservation had expired and finds the
//! stock gone is rejected, upon which the order is cancelled and its payment given back.

mod ledger;

use std::time::Duration;

use async_trait::async_trait;
use services_kit::catalogue::stock as metrics;
use services_kit::events::{
    Body, Event, Line, OrderPaid, OrderPlaced, Shortage, StockRejected, StockReserved,
};
use services_kit::inbox::{Handler, HandlerError};
use services_kit::outbox::Outbox;
use services_kit::prometheus::{Error, IntCounterVec, Registry};
use services_kit::store::{Database, StoreError, Tx, now_ms};
use tokio::time::interval;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

use crate::stock::{self, units};
use ledger::State;

/// How long stock is kept for an order that is not paid. Orders gives up an order well before.
pub const HOLD: Duration = Duration::from_secs(30 * 60);

/// How long it is known what became of a reservation. No event comes that late, and no order can be cancelled then.
const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 3600);

/// How often time is looked at, and how many reservations end by it at once.
const SWEEP: Duration = Duration::from_secs(10);
const SWEPT: usize = 1000;

/// Keeps stock for orders. Clones are the same.
#[derive(Clone)]
pub struct Reservations {
    outcomes: IntCounterVec,
}

impl Reservations {
    /// With its metrics.
    ///
    /// # Errors
    /// When they are registered twice.
    pub fn register(registry: &Registry) -> Result<Self, Error> {
        Ok(Self { outcomes: metrics::RESERVATIONS.counter(registry)? })
    }

    /// Counts what the transaction does, once it is done.
    fn count(&self, tx: &mut Tx, outcome: &str) {
        let counter = self.outcomes.with_label_values(&[outcome]);
        tx.after(move || counter.inc());
    }

    async fn reserve(&self, tx: &mut Tx, order: &OrderPlaced, now: i64) -> Result<(), StoreError> {
        let id = order.order_id.to_string();
        if !ledger::open(tx, &id, State::Reserved, expiry(now), now).await? {
            return Ok(());
        }
        let units = units(&order.lines);
        let short = stock::take(tx, &units).await?;
        if !short.is_empty() {
            return self.reject(tx, order.order_id, &order.lines, short, now).await;
        }
        ledger::add_lines(tx, &id, &units).await?;
        let reserved = StockReserved {
            order_id: order.order_id,
            customer_id: order.customer.id,
            total: order.total,
            currency: order.currency.clone(),
            payment_token: order.payment_token.clone(),
        };
        Outbox::add(tx, &Event::new(id, reserved)).await?;
        self.count(tx, "reserved");
        Ok(())
    }

    async fn commit(&self, tx: &mut Tx, order: &OrderPaid, now: i64) -> Result<(), StoreError> {
        let id = order.order_id.to_string();
        let known = ledger::open(tx, &id, State::Expired, now, now).await?;
        let state = if known { State::Expired } else { ledger::lock(tx, &id).await? };
        let units = match state {
            State::Reserved => ledger::lines(tx, &id).await?,
            State::Expired => {
                let units = units(&order.lines);
                let short = stock::take(tx, &units).await?;
                if !short.is_empty() {
                    return self.reject(tx, order.order_id, &order.lines, short, now).await;
                }
                ledger::add_lines(tx, &id, &units).await?;
                units
            }
            State::Committed | State::Rejected | State::Released => return Ok(()),
        };
        stock::sell(tx, &units).await?;
        ledger::set(tx, &id, State::Committed, now).await?;
        self.count(tx, "committed");
        Ok(())
    }

    async fn reject(
        &self,
        tx: &mut Tx,
        order_id: Uuid,
        lines: &[Line],
        shortages: Vec<Shortage>,
        now: i64,
    ) -> Result<(), StoreError> {
        let id = order_id.to_string();
        ledger::set(tx, &id, State::Rejected, now).await?;
        let reason = reason(&shortages, lines);
        let rejected = StockRejected { order_id, reason, shortages };
        Outbox::add(tx, &Event::new(id, rejected)).await?;
        self.count(tx, "rejected");
        Ok(())
    }

    /// `sold`: whether stock that is sold already comes back as well.
    async fn release(&self, tx: &mut Tx, id: &str, sold: bool, now: i64) -> Result<(), StoreError> {
        if ledger::open(tx, id, State::Released, now, now).await? {
            return Ok(());
        }
        match ledger::lock(tx, id).await? {
            State::Reserved => {
                let units = ledger::remove_lines(tx, id).await?;
                stock::give_back(tx, &units).await?;
            }
            State::Committed if sold => {
                let units = ledger::remove_lines(tx, id).await?;
                stock::take_back(tx, &units).await?;
            }
            State::Expired => return ledger::set(tx, id, State::Released, now).await,
            State::Committed | State::Rejected | State::Released => return Ok(()),
        }
        ledger::set(tx, id, State::Released, now).await?;
        self.count(tx, "released");
        Ok(())
    }

    /// Gives back what was reserved until `now`, unix milliseconds; how many reservations that were.
    ///
    /// # Errors
    /// The store's.
    pub async fn expire(&self, store: &Database, now: i64) -> Result<usize, StoreError> {
        let due: Vec<String> = ledger::due(store, now, SWEPT).await?;
        for id in &due {
            store
                .transaction(|mut tx| async move {
                    if ledger::is_due(&mut tx, id, now).await? {
                        let units = ledger::remove_lines(&mut tx, id).await?;
                        stock::give_back(&mut tx, &units).await?;
                        ledger::set(&mut tx, id, State::Expired, now).await?;
                        self.count(&mut tx, "expired");
                    }
                    Ok::<_, StoreError>(tx.done(()))
                })
                .await?;
        }
        Ok(due.len())
    }

    /// Looks at the time until the service stops.
    pub(crate) async fn sweep(self, store: Database, stopping: CancellationToken) {
        let mut ticks = interval(SWEEP);
        while stopping.run_until_cancelled(ticks.tick()).await.is_some() {
            let now = now_ms();
            if let Err(error) = self.sweep_at(&store, now).await {
                warn!(%error, "what ends by time was not ended");
            }
        }
    }

    /// All that is over at `now`, in pieces.
    async fn sweep_at(&self, store: &Database, now: i64) -> Result<(), StoreError> {
        while self.expire(store, now).await? == SWEPT {}
        while ledger::forget(store, now - millis(REMEMBERED), SWEPT).await? == SWEPT {}
        Ok(())
    }
}

#[async_trait]
impl Handler for Reservations {
    async fn handle(&self, tx: &mut Tx, event: &Event) -> Result<(), HandlerError> {
        let now = now_ms();
        match &event.body {
            Body::OrderPlaced(order) => self.reserve(tx, order, now).await?,
            Body::OrderPaid(order) => self.commit(tx, order, now).await?,
            Body::PaymentFailed(failed) => {
                self.release(tx, &failed.order_id.to_string(), false, now).await?;
            }
            Body::OrderCancelled(order) => {
                self.release(tx, &order.order_id.to_string(), true, now).await?;
            }
            _ => {}
        }
        Ok(())
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn expiry(now: i64) -> i64 {
    now.saturating_add(millis(HOLD))
}

/// What is short, for the customer: the first product of all.
fn reason(shortages: &[Shortage], lines: &[Line]) -> String {
    let Some(first) = shortages.first() else { return String::new() };
    let line = lines.iter().find(|line| line.product_id == first.product_id);
    let name = line.map_or(first.product_id.as_str(), |line| line.name.as_str());
    let Shortage { wanted, available, .. } = first;
    match available {
        0 => format!("{name} is sold out."),
        _ => format!("Only {available} left of {name}; you ordered {wanted}."),
    }
}
