//! The embedded bus: one SQLite file that the services of one machine share, a row per message and queue.
//!
//! A consumer takes messages on a short lease and renews it while it works; when its process dies, the lease runs out
//! and the message is there again. Only the oldest message of a key can be taken. Consumers poll, ever more slowly
//! while there is nothing; while nobody writes to the file, they look at its time and not into it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use sqlx::Row as _;
use sqlx::any::AnyRow;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::keyed::Keyed;
use super::{
    Bus, BusError, Delivery, MOST_DELIVERIES, Message, PREFETCH, Receiver, Topology, Verdict,
};
use crate::store::{Database, Migration, StoreError, now_ms};

/// How long a message is away after its consumer died; and how often the living renew. A process that is stopped for
/// longer finds that another took over, which the inbox makes harmless.
const LEASE: Duration = Duration::from_secs(5);
const RENEW: Duration = Duration::from_secs(1);

/// The pauses between polls double from the first to the last.
const FIRST_POLL: Duration = Duration::from_millis(5);
const LONGEST_POLL: Duration = Duration::from_millis(100);

/// How often a queue is looked at though nothing was written: leases run out by themselves.
const LONGEST_QUIET: Duration = Duration::from_secs(2);

/// Two writes this close to each other may leave the same time on a file: the kernel's clock for files moves every few
/// milliseconds.
const FILE_TIME: Duration = Duration::from_millis(20);

const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "messages",
    sql: "CREATE TABLE messages (
              seq INTEGER PRIMARY KEY AUTOINCREMENT,
              queue TEXT NOT NULL,
              id TEXT NOT NULL,
              event_key TEXT NOT NULL,
              body BLOB NOT NULL,
              deliveries BIGINT NOT NULL DEFAULT 0,
              leased_until BIGINT NOT NULL DEFAULT 0,
              lease TEXT,
              UNIQUE (queue, id)
          );
          CREATE INDEX messages_by_key ON messages (queue, event_key, seq);
          CREATE INDEX messages_by_lease ON messages (lease) WHERE lease IS NOT NULL;",
}];

/// The oldest of each key, unless somebody has it.
const FREE: &str =
    "SELECT m.seq FROM messages m WHERE m.queue = $1 AND m.leased_until <= $2 AND NOT EXISTS (
         SELECT 1 FROM messages e
         WHERE e.queue = m.queue AND e.event_key = m.event_key AND e.seq < m.seq)
     ORDER BY m.seq LIMIT $3";

const TAKE: &str = "UPDATE messages SET lease = $4, leased_until = $5, deliveries = deliveries + 1
     WHERE seq IN (
         SELECT m.seq FROM messages m WHERE m.queue = $1 AND m.leased_until <= $2 AND NOT EXISTS (
             SELECT 1 FROM messages e
             WHERE e.queue = m.queue AND e.event_key = m.event_key AND e.seq < m.seq)
         ORDER BY m.seq LIMIT $3)
     RETURNING seq, id, event_key, body, deliveries";

/// The bus in a file.
#[derive(Clone)]
pub struct Embedded {
    database: Database,
    topology: Arc<Topology>,
    /// SQLite's log of writes; every commit of any process changes it.
    log: Arc<PathBuf>,
}

/// What is known of the log since a look that found nothing.
#[derive(Debug, Default)]
struct Quiet {
    written: Option<SystemTime>,
    since: Option<Instant>,
}

impl Quiet {
    /// Whether nothing can have come since the last look; to be asked right before the next.
    fn lasts(&mut self, written: Option<SystemTime>, now: SystemTime) -> bool {
        let settled = written.filter(|at| now.duration_since(*at).is_ok_and(|age| age > FILE_TIME));
        let same = settled.is_some() && settled == self.written;
        let lasts = same && self.since.is_some_and(|since| since.elapsed() < LONGEST_QUIET);
        if !lasts {
            *self = Self { written: settled, since: Some(Instant::now()) };
        }
        lasts
    }
}

impl Embedded {
    /// Opens `bus.db` in a directory, or makes it.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub async fn open(data: &Path, topology: Topology) -> Result<Self, StoreError> {
        let database = Database::open_shared("bus", data, MIGRATIONS).await?;
        let log = Arc::new(data.join("bus.db-wal"));
        Ok(Self { database, topology: Arc::new(topology), log })
    }

    /// When anybody last wrote.
    fn written(&self) -> Option<SystemTime> {
        std::fs::metadata(self.log.as_path()).and_then(|file| file.modified()).ok()
    }

    async fn add(&self, messages: &[&Message]) -> Result<(), StoreError> {
        self.database
            .transaction(|mut tx| async move {
                for message in messages {
                    for queue in self.topology.takers(&message.event_type) {
                        sqlx::query(
                            "INSERT INTO messages (queue, id, event_key, body) VALUES ($1, $2, $3, $4)
                             ON CONFLICT DO NOTHING",
                        )
                        .bind(queue)
                        .bind(&message.id)
                        .bind(&message.key)
                        .bind(message.body.as_slice())
                        .execute(tx.conn())
                        .await?;
                    }
                }
                Ok(tx.done(()))
            })
            .await
    }

    /// Looks before it takes: to take needs the file's only write lock.
    async fn take(&self, queue: &str, lease: &str, most: usize) -> Result<Vec<Taken>, StoreError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let free = sqlx::query(FREE).bind(queue).bind(now_ms()).bind(1_i64);
        if free.fetch_optional(self.database.pool()).await?.is_none() {
            return Ok(Vec::new());
        }
        let rows = self
            .database
            .transaction(|mut tx| async move {
                let query = sqlx::query(TAKE).bind(queue).bind(now_ms()).bind(most);
                let query = query.bind(lease).bind(leased_until());
                let rows = query.fetch_all(tx.conn()).await?;
                Ok::<_, StoreError>(tx.done(rows))
            })
            .await?;
        let mut taken = rows.iter().map(Taken::read).collect::<Result<Vec<_>, _>>()?;
        taken.sort_by_key(|taken| taken.seq);
        Ok(taken)
    }

    async fn renew(&self, lease: &str) -> Result<(), StoreError> {
        self.lease(lease, leased_until()).await
    }

    async fn release(&self, lease: &str) -> Result<(), StoreError> {
        self.lease(lease, 0).await
    }

    async fn lease(&self, lease: &str, until: i64) -> Result<(), StoreError> {
        self.database
            .transaction(|mut tx| async move {
                sqlx::query("UPDATE messages SET leased_until = $1 WHERE lease = $2")
                    .bind(until)
                    .bind(lease)
                    .execute(tx.conn())
                    .await?;
                Ok(tx.done(()))
            })
            .await
    }

    async fn done(&self, seq: i64) -> Result<(), StoreError> {
        self.database
            .transaction(|mut tx| async move {
                sqlx::query("DELETE FROM messages WHERE seq = $1")
                    .bind(seq)
                    .execute(tx.conn())
                    .await?;
                Ok(tx.done(()))
            })
            .await
    }
}

struct Taken {
    seq: i64,
    delivery: Delivery,
}

impl Taken {
    fn read(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let delivery = Delivery {
            id: row.try_get("id")?,
            key: row.try_get("event_key")?,
            body: row.try_get("body")?,
            exhausted: row.try_get::<i64, _>("deliveries")? > i64::from(MOST_DELIVERIES),
        };
        Ok(Self { seq: row.try_get("seq")?, delivery })
    }
}

fn leased_until() -> i64 {
    now_ms().saturating_add(i64::try_from(LEASE.as_millis()).unwrap_or(0))
}

#[async_trait]
impl Bus for Embedded {
    async fn publish(&self, messages: &[&Message]) -> Vec<Result<(), BusError>> {
        let added = self.add(messages).await;
        let outcome = added.map_err(|error| BusError::Unavailable(error.to_string()));
        vec![outcome; messages.len()]
    }

    async fn consume(&self, queue: &str, receiver: Arc<dyn Receiver>, stopping: CancellationToken) {
        let lease = Uuid::new_v4().to_string();
        let mut keyed = Keyed::default();
        let mut poll = FIRST_POLL;
        let mut quiet = Quiet::default();
        let mut look = Instant::now();
        let mut renew = Instant::now() + RENEW;
        loop {
            tokio::select! {
                () = stopping.cancelled() => break,
                () = sleep_until(renew) => {
                    if keyed.len() > 0 {
                        said(self.renew(&lease).await);
                    }
                    renew = Instant::now() + RENEW;
                }
                () = keyed.ended() => (poll, look) = (FIRST_POLL, Instant::now()),
                () = sleep_until(look), if keyed.len() < PREFETCH => {
                    let taken = if quiet.lasts(self.written(), SystemTime::now()) {
                        Vec::new()
                    } else {
                        let most = PREFETCH - keyed.len();
                        said(self.take(queue, &lease, most).await).unwrap_or_default()
                    };
                    poll = if taken.is_empty() { (poll * 2).min(LONGEST_POLL) } else { FIRST_POLL };
                    look = Instant::now() + poll;
                    for Taken { seq, delivery } in taken {
                        let (bus, receiver) = (self.clone(), Arc::clone(&receiver));
                        keyed.spawn(delivery.key.clone(), async move {
                            if receiver.receive(delivery).await == Verdict::Done {
                                // Not done, it comes again, and the inbox knows it.
                                said(bus.done(seq).await);
                            }
                        });
                    }
                }
            }
        }
        keyed.drain().await;
        said(self.release(&lease).await);
    }

    async fn check(&self) -> Result<(), BusError> {
        self.database.check().await.map_err(|error| BusError::Unavailable(error.to_string()))
    }
}

/// The value, or a line in the log; whatever failed is done again in time.
fn said<T>(outcome: Result<T, StoreError>) -> Option<T> {
    outcome.inspect_err(|error| tracing::warn!(%error, "the embedded bus does not answer")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_quiet_only_while_nothing_can_have_come() {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        let at = |millis| start + Duration::from_millis(millis);
        let mut quiet = Quiet::default();
        assert!(!quiet.lasts(Some(at(0)), at(100)), "the first look");
        assert!(quiet.lasts(Some(at(0)), at(200)));
        assert!(!quiet.lasts(Some(at(250)), at(300)), "somebody wrote");
        assert!(quiet.lasts(Some(at(250)), at(400)));
        assert!(!quiet.lasts(Some(at(490)), at(500)), "and just now");
        assert!(!quiet.lasts(Some(at(490)), at(600)), "perhaps again, at the same time");
        assert!(quiet.lasts(Some(at(490)), at(700)));
        tokio::time::advance(LONGEST_QUIET).await;
        assert!(!quiet.lasts(Some(at(490)), at(2_700)), "a lease may have run out");
        assert!(!quiet.lasts(None, at(2_800)) && !quiet.lasts(None, at(2_900)), "nothing is known");
    }
}
