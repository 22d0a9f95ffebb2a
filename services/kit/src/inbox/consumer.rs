//! The consumer: takes what the bus delivers to a service until it is done with, one way or another.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use prometheus::{HistogramVec, IntCounterVec, IntGauge};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use uuid::Uuid;

use super::attempt::{Effect, attempt, failed};
use super::dead::{self, DeadLetter, Driven};
use super::{Handler, HandlerError, routes};
use crate::Kit;
use crate::bus::{Bus, Delivery, Receiver, Verdict};
use crate::catalogue::events;
use crate::events::{Event, EventType};
use crate::store::{Database, StoreError, now_ms};

/// How often a handler may fail on an event. With the pauses between, about a minute: a restart of what it needs fits
/// into that, and a mistake in it is seen soon.
const ATTEMPTS: u32 = 10;

/// The pauses double from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// The longest pause while the store is away: it is tried again soon after it is back.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// How long an event's id is remembered, and how often it failed: no bus delivers anything that late. And how often
/// older ones are forgotten.
const REMEMBERED: Duration = Duration::from_secs(7 * 24 * 3600);
const SWEEP: Duration = Duration::from_secs(10);

/// The label of what is no event.
const UNKNOWN: &str = "unknown";

/// A service's consumer of events. Clones are the same.
#[derive(Clone)]
pub struct Consumer(Arc<Inner>);

struct Inner {
    database: Database,
    handler: Box<dyn Handler>,
    consumed: IntCounterVec,
    handling: HistogramVec,
    dead: IntGauge,
    stopping: CancellationToken,
}

impl Consumer {
    /// Starts to consume the service's queue; ends when the service stops.
    ///
    /// # Errors
    /// When its metrics are registered twice.
    pub fn start(
        kit: &Kit,
        database: Database,
        bus: Arc<dyn Bus>,
        handler: impl Handler,
    ) -> Result<Self, prometheus::Error> {
        let queue = kit.service().name();
        let inner = Inner {
            database,
            handler: Box::new(handler),
            consumed: events::CONSUMED.counter(kit.registry())?,
            handling: events::HANDLING.histogram(kit.registry())?,
            dead: events::DEAD_LETTERS.gauge(kit.registry())?.with_label_values(&[queue]),
            stopping: kit.stopping().clone(),
        };
        for name in EventType::ALL.iter().map(|event| event.name()).chain([UNKNOWN]) {
            for outcome in ["done", "duplicate", "retried", "dead"] {
                inner.consumed.with_label_values(&[name, outcome]);
            }
        }
        let consumer = Self(Arc::new(inner));
        let (receiver, stopping) = (Arc::clone(&consumer.0), kit.stopping().clone());
        kit.spawn("consumer", async move { bus.consume(queue, receiver, stopping).await });
        let keeper = Arc::clone(&consumer.0);
        kit.spawn("inbox keeper", async move { keeper.keep().await });
        Ok(consumer)
    }

    /// `GET /debug/dead-letters` and `POST /debug/dead-letters/redrive`, for the admin port.
    pub fn routes(&self) -> Router {
        routes::routes(self.clone())
    }

    pub(super) fn database(&self) -> &Database {
        &self.0.database
    }

    /// The oldest dead letters, 1000 at the most.
    ///
    /// # Errors
    /// The store's.
    pub async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, StoreError> {
        dead::list(&self.0.database, limit).await
    }

    /// Handles the oldest dead letters again, each once, 1000 at the most. Those that fail stay, with the new reason.
    ///
    /// # Errors
    /// The store's.
    pub async fn redrive(&self, limit: u32) -> Result<Driven, StoreError> {
        let driven = dead::redrive(&self.0.database, self.0.handler.as_ref(), limit).await;
        self.0.measure().await;
        driven
    }
}

#[async_trait]
impl Receiver for Inner {
    async fn receive(&self, delivery: Delivery) -> Verdict {
        let event = match Event::decode(&delivery.body) {
            Ok(event) => event,
            Err(error) => {
                let id =
                    if delivery.id.is_empty() { Uuid::now_v7().to_string() } else { delivery.id };
                let letter =
                    letter(id, UNKNOWN, &delivery.key, &delivery.body, error.to_string(), 0);
                return self.give_up(letter).await;
            }
        };
        let name = event.event_type().name();
        let span = tracing::info_span!("consume", event = name, id = %event.id, key = event.key);
        crate::trace::continue_from(&span, event.traceparent.as_deref());
        self.deal_with(&event, &delivery).instrument(span).await
    }
}

impl Inner {
    async fn deal_with(&self, event: &Event, delivery: &Delivery) -> Verdict {
        let name = event.event_type().name();
        let letter = |reason: String, attempts| {
            letter(event.id.to_string(), name, &event.key, &delivery.body, reason, attempts)
        };
        if delivery.exhausted {
            let reason = "its consumers died each time it was delivered".to_owned();
            return self.give_up(letter(reason, 0)).await;
        }
        let mut away = 0;
        loop {
            let pause = match self.attempt(event).await {
                Ok(effect) => {
                    let outcome = if effect == Effect::Had { "done" } else { "duplicate" };
                    self.count(name, outcome);
                    return Verdict::Done;
                }
                Err(HandlerError::Never(reason)) => return self.give_up(letter(reason, 1)).await,
                Err(HandlerError::Store(
                    error @ (StoreError::Unavailable(_) | StoreError::Contended(_)),
                )) => {
                    away += 1;
                    tracing::warn!(%error, "an event waits for the store");
                    doubled(away).min(STORE_PAUSE)
                }
                Err(error) => {
                    tracing::warn!(%error, "an event could not be handled");
                    self.count(name, "retried");
                    match failed(&self.database, event, &error.to_string()).await {
                        Ok(attempts) if attempts >= ATTEMPTS => {
                            return self.give_up(letter(error.to_string(), attempts)).await;
                        }
                        Ok(attempts) => doubled(attempts),
                        Err(_) => STORE_PAUSE,
                    }
                }
            };
            if self.stopping.run_until_cancelled(sleep(pause)).await.is_none() {
                return Verdict::Again;
            }
        }
    }

    async fn attempt(&self, event: &Event) -> Result<Effect, HandlerError> {
        let started = Instant::now();
        let effect = attempt(&self.database, self.handler.as_ref(), event).await;
        let handling = self.handling.with_label_values(&[event.event_type().name()]);
        handling.observe(started.elapsed().as_secs_f64());
        effect
    }

    /// Done with it once the dead letter is kept, not before.
    async fn give_up(&self, letter: DeadLetter) -> Verdict {
        tracing::error!(
            id = letter.id,
            event = letter.event_type,
            reason = letter.reason,
            "an event was given up and is a dead letter now"
        );
        while let Err(error) = dead::bury(&self.database, &letter).await {
            tracing::warn!(%error, "a dead letter waits for the store");
            if self.stopping.run_until_cancelled(sleep(STORE_PAUSE)).await.is_none() {
                return Verdict::Again;
            }
        }
        self.count(&letter.event_type, "dead");
        self.measure().await;
        Verdict::Done
    }

    fn count(&self, event_type: &str, outcome: &str) {
        self.consumed.with_label_values(&[event_type, outcome]).inc();
    }

    async fn measure(&self) {
        if let Ok(letters) = dead::count(&self.database).await {
            self.dead.set(letters);
        }
    }

    /// Counts the dead and forgets what is old.
    async fn keep(&self) {
        let mut ticks = tokio::time::interval(SWEEP);
        while self.stopping.run_until_cancelled(ticks.tick()).await.is_some() {
            self.measure().await;
            if let Err(error) = sweep_at(&self.database, now_ms()).await {
                tracing::warn!(%error, "the inbox could not be swept");
            }
        }
    }
}

async fn sweep_at(database: &Database, now: i64) -> Result<u64, StoreError> {
    let before = now - i64::try_from(REMEMBERED.as_millis()).unwrap_or(i64::MAX);
    let mut forgotten = 0;
    for sql in [
        "DELETE FROM inbox WHERE id IN (
             SELECT id FROM inbox WHERE handled_at < $1 ORDER BY handled_at LIMIT $2)",
        "DELETE FROM inbox_failures WHERE id IN (
             SELECT id FROM inbox_failures WHERE failed_at < $1 ORDER BY failed_at LIMIT $2)",
    ] {
        forgotten += database.forget(sql, before).await?;
    }
    Ok(forgotten)
}

fn letter(
    id: String,
    event_type: &str,
    key: &str,
    body: &[u8],
    reason: String,
    attempts: u32,
) -> DeadLetter {
    let (event_type, key) = (event_type.to_owned(), key.to_owned());
    let body = DeadLetter::text(body);
    DeadLetter { id, event_type, key, body, reason, attempts: attempts.into(), died_at: now_ms() }
}

fn doubled(attempts: u32) -> Duration {
    LONGEST_PAUSE.min(FIRST_PAUSE * 2_u32.saturating_pow(attempts.saturating_sub(1).min(20)))
}

#[cfg(test)]
mod tests {
    use crate::store::StoreOptions;

    use super::*;

    #[tokio::test]
    async fn what_was_handled_and_what_failed_is_forgotten_in_time() {
        let data = tempfile::tempdir().unwrap();
        let options = StoreOptions { data: data.path().into(), url: None, migrations: &[] };
        let database = Database::open("orders", &options).await.unwrap();
        database
            .transaction(|mut tx| async move {
                sqlx::query("INSERT INTO inbox VALUES ('a', 0), ('b', 1)")
                    .execute(tx.conn())
                    .await?;
                sqlx::query("INSERT INTO inbox_failures VALUES ('c', 1, '', 0), ('d', 1, '', 1)")
                    .execute(tx.conn())
                    .await?;
                Ok::<_, StoreError>(tx.done(()))
            })
            .await
            .unwrap();
        let remembered = i64::try_from(REMEMBERED.as_millis()).unwrap();
        for (now, forgotten) in [(0, 0), (1, 2), (1, 0), (2, 2)] {
            assert_eq!(sweep_at(&database, remembered + now).await.unwrap(), forgotten);
        }
    }

    #[test]
    fn ten_attempts_take_about_a_minute() {
        let pauses: Duration = (1..ATTEMPTS).map(doubled).sum();
        assert!((40..80).contains(&pauses.as_secs()), "{pauses:?}");
    }
}
