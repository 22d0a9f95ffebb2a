//! Asks the provider for what is due, and tells the shop what came of it.
//!
//! What is due is a row, so it outlives the process. It is claimed before the provider is asked, outside of any
//! transaction, and settled after: a process that dies between leaves a claim that ends by itself, and the provider is
//! asked again under the same key. The answer moves the payment only from the state that it was asked in.

mod row;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use services_kit::catalogue::orders::PAYMENTS;
use services_kit::events::{Body, Event, PaymentFailed, PaymentRefunded, PaymentSucceeded};
use services_kit::outbox::Outbox;
use services_kit::prometheus::{self, IntCounterVec, Registry};
use services_kit::store::{Database, StoreError, Tx, now_ms};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use self::row::{Due, claim, move_on, postpone};
use crate::provider::{Answer, Charge, Provider, ProviderError};
use crate::token::millis;

/// How many are asked for at once.
const BATCH: i64 = 64;

/// How long the provider may take for one.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a claim holds: longer than [`PATIENCE`], so that two processes seldom ask for the same.
const CLAIM: Duration = Duration::from_secs(10);

/// How often a charge is tried. With the pauses between, some 3 s: customers wait for it in front of the page.
const MOST_CHARGES: i64 = 5;

/// The pauses between attempts double from here. A refund is owed, so it is tried for ever.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// How often it is looked for what is due, beside when it is told: attempts fall due again, and another process may
/// have died.
const LOOK: Duration = Duration::from_millis(500);

/// The task that settles.
pub struct Settlement {
    store: Database,
    provider: Arc<dyn Provider>,
    outcomes: IntCounterVec,
    due: Arc<Notify>,
}

/// What the provider did, or not.
#[derive(Debug)]
enum Reply {
    Charged,
    Declined(&'static str),
    Refunded,
    Failed(ProviderError),
}

impl Settlement {
    /// A settlement with its metric.
    ///
    /// # Errors
    /// When the metric is registered twice.
    pub fn register(
        registry: &Registry,
        store: Database,
        provider: Arc<dyn Provider>,
    ) -> Result<Self, prometheus::Error> {
        let outcomes = PAYMENTS.counter(registry)?;
        Ok(Self { store, provider, outcomes, due: Arc::default() })
    }

    /// To be notified when something may be due.
    pub fn wake(&self) -> Arc<Notify> {
        Arc::clone(&self.due)
    }

    /// Settles until it is told to stop.
    pub async fn run(self, stopping: CancellationToken) {
        while !stopping.is_cancelled() {
            match self.round().await {
                Ok(0) => {}
                Ok(_) => continue,
                Err(error) => tracing::warn!(%error, "payments wait for the store"),
            }
            tokio::select! {
                () = stopping.cancelled() => return,
                () = self.due.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Settles what is due, or a batch of it; how many that were.
    async fn round(&self) -> Result<usize, StoreError> {
        let now = now_ms();
        let due = claim(&self.store, now, now + millis(CLAIM), BATCH).await?;
        if due.is_empty() {
            return Ok(0);
        }
        let replies = join_all(due.iter().map(|due| self.ask(due))).await;
        let settled: &Vec<(Due, Reply)> = &due.into_iter().zip(replies).collect();
        let outcomes = self
            .store
            .transaction(|mut tx| async move {
                let mut outcomes = Vec::new();
                for (due, reply) in settled {
                    outcomes.extend(settle(&mut tx, due, reply).await?);
                }
                Ok::<_, StoreError>(tx.done(outcomes))
            })
            .await?;
        for outcome in outcomes {
            self.outcomes.with_label_values(&[outcome]).inc();
        }
        Ok(settled.len())
    }

    async fn ask(&self, due: &Due) -> Reply {
        if due.is_refund() {
            return match patiently(self.provider.refund(due.payment_id)).await {
                Ok(()) => Reply::Refunded,
                Err(error) => Reply::Failed(error),
            };
        }
        if due.provider_token.is_empty() {
            return Reply::Declined("the card is not known or was used for another order");
        }
        if due.amount <= 0 {
            return Reply::Declined("there is nothing to pay");
        }
        let charge = Charge {
            key: due.payment_id,
            provider_token: due.provider_token.clone(),
            amount: due.amount,
            currency: due.currency.clone(),
        };
        match patiently(self.provider.charge(&charge)).await {
            Ok(Answer::Charged) => Reply::Charged,
            Ok(Answer::Declined(reason)) => Reply::Declined(reason),
            Err(error) => Reply::Failed(error),
        }
    }
}

async fn patiently<T>(
    asked: impl Future<Output = Result<T, ProviderError>>,
) -> Result<T, ProviderError> {
    let late = |_| Err(ProviderError("it did not answer in time".to_owned()));
    timeout(PATIENCE, asked).await.unwrap_or_else(late)
}

/// Moves a payment on and tells the shop; the outcome to be counted, if it is one.
async fn settle(tx: &mut Tx, due: &Due, reply: &Reply) -> Result<Option<&'static str>, StoreError> {
    match reply {
        Reply::Charged => charged(tx, due).await,
        Reply::Declined(reason) => failed(tx, due, reason, "declined").await,
        Reply::Refunded => refunded(tx, due).await,
        Reply::Failed(error) => {
            tracing::warn!(%error, payment = %due.payment_id, attempt = due.attempts, "it is tried again, or given up");
            if !due.is_refund() && due.attempts >= MOST_CHARGES {
                return given_up(tx, due).await;
            }
            postpone(tx, due, now_ms() + millis(doubled(due.attempts))).await?;
            Ok(None)
        }
    }
}

async fn charged(tx: &mut Tx, due: &Due) -> Result<Option<&'static str>, StoreError> {
    // An order that was cancelled meanwhile wants its money back, and no word of a success.
    let Some(cancelled) = move_on(tx, due, "succeeded", "refunding", None).await? else {
        return Ok(None);
    };
    if !cancelled {
        let Due { order_id, payment_id, amount, .. } = *due;
        let currency = due.currency.clone();
        tell(tx, due, PaymentSucceeded { order_id, payment_id, amount, currency }).await?;
    }
    Ok(Some("succeeded"))
}

async fn failed(
    tx: &mut Tx,
    due: &Due,
    reason: &str,
    outcome: &'static str,
) -> Result<Option<&'static str>, StoreError> {
    let moved = move_on(tx, due, "failed", "failed", Some(reason)).await?;
    if moved == Some(false) {
        let failed = PaymentFailed { order_id: due.order_id, reason: reason.to_owned() };
        tell(tx, due, failed).await?;
    }
    Ok(moved.map(|_| outcome))
}

/// Nobody knows whether the last attempts charged: an answer may have been lost on its way. The order hears that there
/// is no money; the provider is told to give back what it may have taken.
async fn given_up(tx: &mut Tx, due: &Due) -> Result<Option<&'static str>, StoreError> {
    let reason = "the payment provider does not answer";
    let moved = move_on(tx, due, "refunding", "refunding", Some(reason)).await?;
    if moved == Some(false) {
        let failed = PaymentFailed { order_id: due.order_id, reason: reason.to_owned() };
        tell(tx, due, failed).await?;
    }
    Ok(moved.map(|_| "failed"))
}

async fn refunded(tx: &mut Tx, due: &Due) -> Result<Option<&'static str>, StoreError> {
    if let Some(reason) = &due.reason {
        // It was given up: whatever was charged is back, and nobody was told that there was a charge.
        move_on(tx, due, "failed", "failed", Some(reason)).await?;
        return Ok(None);
    }
    let moved = move_on(tx, due, "refunded", "refunded", None).await?;
    if moved.is_some() {
        let Due { order_id, payment_id, amount, .. } = *due;
        let currency = due.currency.clone();
        tell(tx, due, PaymentRefunded { order_id, payment_id, amount, currency }).await?;
    }
    Ok(moved.map(|_| "refunded"))
}

/// In the trace of the order, which is not the one of this task.
async fn tell(tx: &mut Tx, due: &Due, body: impl Into<Body>) -> Result<(), StoreError> {
    let event = Event::new(due.order_id.to_string(), body);
    Outbox::add(tx, &Event { traceparent: due.traceparent.clone(), ..event }).await
}

fn doubled(attempts: i64) -> Duration {
    let doublings = u32::try_from(attempts.clamp(1, 20) - 1).unwrap_or(0);
    LONGEST_PAUSE.min(FIRST_PAUSE * 2_u32.pow(doublings))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charge_is_given_up_before_a_customer_gives_up_and_a_refund_is_tried_every_few_minutes() {
        let pauses: Duration = (1..MOST_CHARGES).map(doubled).sum();
        assert!((2..=4).contains(&pauses.as_secs()), "{pauses:?}");
        assert_eq!(doubled(i64::MAX), LONGEST_PAUSE);
    }
}
