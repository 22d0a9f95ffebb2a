//! The relay: one task per service that publishes what the outbox holds.

use std::sync::Arc;
use std::time::Duration;

use prometheus::{Gauge, IntCounterVec, IntGauge};
use sqlx::{AnyConnection, Row as _};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::Kit;
use crate::bus::{Bus, BusError, Message};
use crate::catalogue::events;
use crate::events::EventType;
use crate::store::{Database, Dialect, StoreError, now_ms};

/// Commits wake the relay; this is for what another process committed, and for attempts that fell due. Nobody else
/// commits to a file.
const POLL: Duration = Duration::from_millis(500);
const POLL_OF_FILE: Duration = Duration::from_secs(2);

/// How often a relay that is not the one asks whether it may be.
const STANDBY: Duration = Duration::from_secs(1);

/// Events published at once.
const BATCH: i64 = 100;

/// The pauses of an event, and of a relay whose bus or store is away, double from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_EVENT_PAUSE: Duration = Duration::from_secs(60);

/// How long published events stay for people to look at, and how often the older ones go.
const KEPT: Duration = Duration::from_secs(3600);
const SWEEP: Duration = Duration::from_secs(10);

/// Errors are kept for people; this many characters tell enough.
const LONGEST_ERROR: usize = 500;

/// What is published, oldest event of each key first. Events whose key waits for an earlier one are not looked at.
const DUE: &str = "SELECT o.seq, o.type, o.event_key, o.id, o.payload, o.attempts FROM outbox o
     WHERE o.published_at IS NULL AND o.next_attempt_at <= $1 AND NOT EXISTS (
         SELECT 1 FROM outbox e
         WHERE e.published_at IS NULL AND e.event_key = o.event_key AND e.seq < o.seq)
     ORDER BY o.seq LIMIT $2";

/// Publishes a service's events.
pub struct Relay {
    database: Database,
    bus: Arc<dyn Bus>,
    pending: IntGauge,
    oldest: Gauge,
    published: IntCounterVec,
}

/// Why a round ended early.
#[derive(Debug, thiserror::Error)]
enum RoundError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the bus does not answer: {0}")]
    Bus(BusError),
}

impl From<sqlx::Error> for RoundError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

struct Due {
    seq: i64,
    attempts: i64,
    message: Message,
}

impl Relay {
    /// Starts the relay of a service; it ends when the service stops.
    ///
    /// # Errors
    /// When its metrics are registered twice.
    pub fn start(
        kit: &Kit,
        database: Database,
        bus: Arc<dyn Bus>,
    ) -> Result<(), prometheus::Error> {
        let relay = Self {
            database,
            bus,
            pending: events::OUTBOX_PENDING.plain_gauge(kit.registry())?,
            oldest: events::OUTBOX_OLDEST_AGE
                .float_gauge(kit.registry())?
                .with_label_values::<&str>(&[]),
            published: events::PUBLISHED.counter(kit.registry())?,
        };
        for event in EventType::ALL {
            for outcome in ["confirmed", "failed"] {
                relay.published.with_label_values(&[event.name(), outcome]);
            }
        }
        let stopping = kit.stopping().clone();
        kit.spawn("outbox relay", async move { relay.run(&stopping).await });
        Ok(())
    }

    /// Publishes until it is told to stop.
    async fn run(&self, stopping: &CancellationToken) {
        let mut pause = FIRST_PAUSE;
        loop {
            let started = Instant::now();
            let Some(ended) = stopping.run_until_cancelled(self.reign()).await else { return };
            if started.elapsed() > LONGEST_PAUSE {
                pause = FIRST_PAUSE;
            }
            if let Err(error) = ended {
                tracing::warn!(%error, ?pause, "the outbox relay pauses");
            }
            if stopping.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Works for as long as it holds the service's lock and nothing fails.
    async fn reign(&self) -> Result<(), RoundError> {
        // The lock belongs to the session: in the pool, the connection would keep it when we are gone.
        let mut connection = self.database.pool().acquire().await?.detach();
        while !self.lock(&mut connection).await? {
            // Another relay of this service is at work; when it goes, its lock goes with it.
            self.measure(&mut connection).await?;
            tokio::time::sleep(STANDBY).await;
        }
        self.hasten(&mut connection).await?;
        self.work(&mut connection).await
    }

    async fn lock(&self, connection: &mut AnyConnection) -> Result<bool, RoundError> {
        if self.database.dialect() == Dialect::Sqlite {
            return Ok(true);
        }
        let row = sqlx::query("SELECT pg_try_advisory_lock(hashtext($1)) AS got")
            .bind(format!("shop outbox {}", self.database.name()))
            .fetch_one(connection)
            .await?;
        Ok(row.try_get("got")?)
    }

    async fn work(&self, connection: &mut AnyConnection) -> Result<(), RoundError> {
        let mut sweep = Instant::now();
        let poll = if self.database.dialect() == Dialect::Sqlite { POLL_OF_FILE } else { POLL };
        loop {
            let woken = self.database.outbox().notified();
            if sweep <= Instant::now() {
                sweep_at(&self.database, now_ms()).await?;
                self.measure(connection).await?;
                sweep = Instant::now() + SWEEP;
            }
            if self.round(connection).await? {
                continue;
            }
            self.measure(connection).await?;
            // Woken or not, there may be work.
            timeout(poll, woken).await.ok();
        }
    }

    /// Publishes what is due; whether there was something.
    async fn round(&self, connection: &mut AnyConnection) -> Result<bool, RoundError> {
        let rows = sqlx::query(DUE).bind(now_ms()).bind(BATCH).fetch_all(&mut *connection).await?;
        let due = rows.iter().map(due).collect::<Result<Vec<_>, _>>()?;
        if due.is_empty() {
            return Ok(false);
        }
        let messages: Vec<&Message> = due.iter().map(|due| &due.message).collect();
        let outcomes = self.bus.publish(&messages).await;
        let mut away = None;
        let mut confirmed = Vec::new();
        let mut failed = Vec::new();
        for (due, outcome) in due.iter().zip(outcomes) {
            self.count(&due.message.event_type, outcome.is_ok());
            match outcome {
                Ok(()) => confirmed.push(due.seq),
                Err(error) => {
                    failed.push((due, error.to_string()));
                    away = away.or_else(|| error.is_unavailable().then_some(error));
                }
            }
        }
        self.mark(connection, &confirmed).await?;
        self.postpone(&failed, away.is_some()).await?;
        away.map_or(Ok(true), |error| Err(RoundError::Bus(error)))
    }

    fn count(&self, event_type: &str, confirmed: bool) {
        let outcome = if confirmed { "confirmed" } else { "failed" };
        self.published.with_label_values(&[event_type, outcome]).inc();
    }

    /// Lets the relay's own connection not wait for the disk. All that it writes is which events were published: what a
    /// crash of the database takes back of that is published again in the same order, and known to who consumes it.
    async fn hasten(&self, connection: &mut AnyConnection) -> Result<(), RoundError> {
        if self.database.dialect() == Dialect::Postgres {
            let sql = "SELECT set_config('synchronous_commit', 'off', false)";
            sqlx::query(sql).execute(connection).await?;
        }
        Ok(())
    }

    /// One statement for all: an array is JSON here, which both databases take apart.
    async fn mark(
        &self,
        connection: &mut AnyConnection,
        confirmed: &[i64],
    ) -> Result<(), RoundError> {
        if confirmed.is_empty() {
            return Ok(());
        }
        let list = &serde_json::Value::from(confirmed).to_string();
        if self.database.dialect() == Dialect::Postgres {
            let sql = "UPDATE outbox SET published_at = $1, last_error = NULL
                WHERE seq IN (SELECT value::BIGINT FROM json_array_elements_text($2::JSON))";
            sqlx::query(sql).bind(now_ms()).bind(list).execute(connection).await?;
            return Ok(());
        }
        let marked = self.database.transaction(|mut tx| async move {
            let sql = "UPDATE outbox SET published_at = $1, last_error = NULL
                WHERE seq IN (SELECT value FROM json_each($2))";
            sqlx::query(sql).bind(now_ms()).bind(list).execute(tx.conn()).await?;
            Ok::<_, StoreError>(tx.done(()))
        });
        Ok(marked.await?)
    }

    /// While the bus is away, the relay pauses, not the event: it is to go as soon as the bus is back.
    async fn postpone(&self, failed: &[(&Due, String)], away: bool) -> Result<(), StoreError> {
        if failed.is_empty() {
            return Ok(());
        }
        self.database
            .transaction(|mut tx| async move {
                for (due, error) in failed {
                    let pause = if away { 0 } else { event_pause(due.attempts) };
                    let error: String = error.chars().take(LONGEST_ERROR).collect();
                    sqlx::query(
                        "UPDATE outbox SET attempts = attempts + 1, last_error = $1, next_attempt_at = $2
                         WHERE seq = $3",
                    )
                    .bind(error)
                    .bind(now_ms().saturating_add(pause))
                    .bind(due.seq)
                    .execute(tx.conn())
                    .await?;
                }
                Ok(tx.done(()))
            })
            .await
    }

    async fn measure(&self, connection: &mut AnyConnection) -> Result<(), RoundError> {
        let row = sqlx::query(
            "SELECT COUNT(*) AS pending, MIN(created_at) AS oldest FROM outbox WHERE published_at IS NULL",
        )
        .fetch_one(connection)
        .await?;
        self.pending.set(row.try_get("pending")?);
        let oldest: Option<i64> = row.try_get("oldest")?;
        let age = oldest.map_or(0, |oldest| now_ms().saturating_sub(oldest).max(0));
        self.oldest.set(Duration::from_millis(age.unsigned_abs()).as_secs_f64());
        Ok(())
    }
}

async fn sweep_at(database: &Database, now: i64) -> Result<u64, StoreError> {
    let kept = i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX);
    let sql = "DELETE FROM outbox WHERE seq IN (
                   SELECT seq FROM outbox WHERE published_at < $1 ORDER BY published_at LIMIT $2)";
    database.forget(sql, now - kept).await
}

fn due(row: &sqlx::any::AnyRow) -> Result<Due, sqlx::Error> {
    Ok(Due {
        seq: row.try_get("seq")?,
        attempts: row.try_get("attempts")?,
        message: Message {
            id: row.try_get("id")?,
            event_type: row.try_get("type")?,
            key: row.try_get("event_key")?,
            body: row.try_get::<String, _>("payload")?.into_bytes(),
        },
    })
}

/// Milliseconds until an event that failed so often is tried again.
fn event_pause(attempts: i64) -> i64 {
    let doubled =
        FIRST_PAUSE * 2_u32.saturating_pow(u32::try_from(attempts.clamp(0, 20)).unwrap_or(20));
    i64::try_from(doubled.min(LONGEST_EVENT_PAUSE).as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use crate::events::{Event, PaymentFailed};
    use crate::outbox::Outbox;
    use crate::store::StoreOptions;

    use super::*;

    #[tokio::test]
    async fn published_events_go_in_time_however_many_and_the_others_never() {
        let data = tempfile::tempdir().unwrap();
        let options = StoreOptions { data: data.path().into(), url: None, migrations: &[] };
        let database = Database::open("orders", &options).await.unwrap();
        database
            .transaction(|mut tx| async move {
                for _ in 0..2_101 {
                    let (order_id, reason) = (uuid::Uuid::now_v7(), String::new());
                    let event = Event::new("a", PaymentFailed { order_id, reason });
                    Outbox::add(&mut tx, &event).await?;
                }
                sqlx::query("UPDATE outbox SET published_at = 0 WHERE seq > 1")
                    .execute(tx.conn())
                    .await?;
                Ok::<_, StoreError>(tx.done(()))
            })
            .await
            .unwrap();
        let kept = i64::try_from(KEPT.as_millis()).unwrap();
        assert_eq!(sweep_at(&database, kept).await.unwrap(), 0);
        assert_eq!(sweep_at(&database, kept + 1).await.unwrap(), 2_100);
        assert_eq!(sweep_at(&database, i64::MAX).await.unwrap(), 0, "one is not published");
    }

    #[test]
    fn an_events_pauses_double_to_a_minute() {
        let pauses: Vec<i64> = [0, 1, 2, 9, 10, 1_000_000].map(event_pause).into();
        assert_eq!(pauses, [100, 200, 400, 51_200, 60_000, 60_000]);
    }
}
