//! A service's store: a SQLite file of its own, or a schema of its own in Postgres; the same SQL on both.
//!
//! What runs on both: `$1` placeholders; BIGINT (times as unix milliseconds, money as cents, booleans as 0 and 1),
//! TEXT (also for UUIDs and JSON) and DOUBLE PRECISION; `ON CONFLICT`, `RETURNING`, partial indexes. A `SUM` is to be
//! cast to BIGINT. Where the two differ, [`Tx::pick`] takes one text for each.

mod contention;
mod error;
mod open;
mod transaction;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use sqlx::AnyPool;
use tokio::sync::{Notify, Semaphore};

pub use contention::Contention;
pub use error::StoreError;
pub use open::StoreOptions;
pub use transaction::{Done, Tx};

use crate::{Kit, KitError};

/// Rows that [`Database::forget`] deletes at once: SQLite has one writer, and a piece takes it a few milliseconds.
const PIECE: u64 = 1000;

/// One step of a store's schema; those of the kit come first, whatever their version.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Ascending, from 100 on: those below are the kit's. Never changed once it was released, nor its text.
    pub version: i64,
    /// What it does, in a few words.
    pub name: &'static str,
    /// One or more statements that both databases take.
    pub sql: &'static str,
}

/// Which database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
}

impl Dialect {
    /// The text for this database.
    pub fn pick(self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self {
            Self::Sqlite => sqlite,
            Self::Postgres => postgres,
        }
    }
}

/// A service's store. Clones share their connections.
#[derive(Clone)]
pub struct Database {
    name: &'static str,
    dialect: Dialect,
    pool: AnyPool,
    /// SQLite has one writer at a time. Waiting for the turn here is fair and costs nothing; its own way is to poll.
    writer: Option<Arc<Semaphore>>,
    /// Woken when a transaction with events commits.
    outbox: Arc<Notify>,
}

impl Database {
    /// The store of a service, as its configuration says, with metrics and a readiness check named `store`.
    ///
    /// # Errors
    /// When it cannot be opened or migrated.
    pub async fn of(kit: &Kit, migrations: &[Migration]) -> anyhow::Result<Self> {
        let url: Option<SecretString> = kit.options().database_url.clone();
        let data = if url.is_some() { None } else { Some(kit.data_dir()?) };
        let options = StoreOptions { data: data.unwrap_or_default(), url, migrations };
        let database = Self::open(kit.service().name(), &options).await?;
        database.observe(kit)?;
        Ok(database)
    }

    fn observe(&self, kit: &Kit) -> Result<(), KitError> {
        let database = self.clone();
        kit.readiness("store", move || {
            let database = database.clone();
            async move { database.check().await }
        });
        let gauge = crate::catalogue::events::POOL.gauge(kit.registry())?;
        let (database, stopping) = (self.clone(), kit.stopping().clone());
        kit.spawn("store metrics", async move {
            let mut ticks = tokio::time::interval(Duration::from_secs(1));
            while stopping.run_until_cancelled(ticks.tick()).await.is_some() {
                let idle = i64::try_from(database.pool.num_idle()).unwrap_or(i64::MAX);
                gauge.with_label_values(&["idle"]).set(idle);
                gauge.with_label_values(&["used"]).set(i64::from(database.pool.size()) - idle);
            }
        });
        Ok(())
    }

    /// Whether it answers; for `/health/ready`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it does not.
    pub async fn check(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }

    /// For single statements that only read; everything that writes goes through [`Database::transaction`].
    pub fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// Deletes all that is old, in pieces, so that nobody waits long to write. `sql` takes the time before which
    /// something is old as `$1`, and the most rows to delete as `$2`. Gives how many it deleted.
    ///
    /// # Errors
    /// The store's; what was deleted until then stays deleted.
    pub async fn forget(&self, sql: &'static str, before: i64) -> Result<u64, StoreError> {
        let mut forgotten = 0;
        loop {
            let piece = self
                .transaction(|mut tx| async move {
                    let piece = i64::try_from(PIECE).unwrap_or(i64::MAX);
                    let delete = sqlx::query(sql).bind(before).bind(piece);
                    let deleted = delete.execute(tx.conn()).await?.rows_affected();
                    Ok::<_, StoreError>(tx.done(deleted))
                })
                .await?;
            forgotten += piece;
            if piece < PIECE {
                return Ok(forgotten);
            }
        }
    }

    /// Which database it is.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The name it was opened under.
    pub fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn outbox(&self) -> &Notify {
        &self.outbox
    }

    /// Closes all connections and waits for those in use.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Unix milliseconds now, as stores keep them.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
