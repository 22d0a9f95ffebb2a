//! Transactions: begun so that they cannot deadlock on SQLite, done again when others were in the way.

use std::time::Duration;

use sqlx::{Any, AnyConnection, Transaction};
use tokio::sync::OwnedSemaphorePermit;

use super::{Contention, Database, Dialect, StoreError};

/// How often a transaction is begun before its caller hears that others were in the way. With the pauses between,
/// some 2 s: a customer waits no longer.
const ATTEMPTS: u32 = 10;

/// The longest of the pauses, which double from 1 ms.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How often a connection that died unseen is replaced by another: as many as the pool may hold.
const CONNECTIONS: u32 = 10;

/// A transaction under way. Dropped without a commit, it never was.
pub struct Tx {
    inner: Transaction<'static, Any>,
    database: Database,
    events: bool,
    after: Vec<Box<dyn FnOnce() + Send>>,
    /// Given back when the transaction is over, hence last.
    _turn: Option<OwnedSemaphorePermit>,
}

/// A transaction that is to be committed, and what came of it.
pub struct Done<T> {
    tx: Tx,
    value: T,
}

impl Tx {
    /// What queries run on: `.execute(tx.conn())`.
    pub fn conn(&mut self) -> &mut AnyConnection {
        &mut self.inner
    }

    /// Which database it is.
    pub fn dialect(&self) -> Dialect {
        self.database.dialect
    }

    /// What a transaction returns that is to be committed.
    pub fn done<T>(self, value: T) -> Done<T> {
        Done { tx: self, value }
    }

    /// The text for this database, where one does not do for both. On Postgres, reading a row in order to change it
    /// needs `FOR UPDATE`; on SQLite a transaction is alone anyway.
    pub fn pick(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        self.database.dialect.pick(sqlite, postgres)
    }

    /// Does something once this is committed, such as to count it or to wake somebody; never when it is undone. If the
    /// store dies in the middle of the commit it is not done either, whatever became of the commit.
    pub fn after(&mut self, act: impl FnOnce() + Send + 'static) {
        self.after.push(Box::new(act));
    }

    /// Events were added: the relay is to be woken at the commit.
    pub(crate) fn has_events(&mut self) {
        self.events = true;
    }

    async fn commit(self) -> Result<(), StoreError> {
        let Self { inner, database, events, after, _turn } = self;
        inner.commit().await?;
        if events {
            database.outbox.notify_one();
        }
        after.into_iter().for_each(|act| act());
        Ok(())
    }
}

impl Database {
    /// Does `work` in one transaction: committed when it returns [`Tx::done`], undone when it returns an error. `work`
    /// is done again when others were in the way, so it must have no effect but through the transaction and
    /// [`Tx::after`].
    ///
    /// Postgres reads what is committed (READ COMMITTED): read rows that are then changed with `FOR UPDATE`
    /// ([`Tx::pick`]), or change them by a statement that holds the condition (`… SET n = n - $1 WHERE n >= $1`).
    ///
    /// # Errors
    /// What `work` returns, or the store's own errors. After [`StoreError::Unavailable`] it is unknown whether it
    /// took place.
    pub async fn transaction<T, E: Contention, F>(
        &self,
        mut work: impl FnMut(Tx) -> F,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<Done<T>, E>>,
    {
        let mut attempt = 0;
        loop {
            // Dropping it, as an error does, rolls back.
            let done = match work(self.begin().await?).await {
                Ok(Done { tx, value }) => tx.commit().await.map(|()| value).map_err(E::from),
                Err(error) => Err(error),
            };
            attempt += 1;
            match done {
                Err(error) if error.is_contention() && attempt < ATTEMPTS => pause(attempt).await,
                done => return done,
            }
        }
    }

    async fn begin(&self) -> Result<Tx, StoreError> {
        let turn = match &self.writer {
            Some(writer) => writer.clone().acquire_owned().await.ok(),
            None => None,
        };
        let mut tries = 0;
        let inner = loop {
            tries += 1;
            match self.begun().await {
                // The database may have been restarted: every idle connection is then dead, and goes when tried.
                Err(sqlx::Error::Io(_) | sqlx::Error::Protocol(_)) if tries <= CONNECTIONS => {}
                begun => break begun?,
            }
        };
        Ok(Tx { inner, database: self.clone(), events: false, after: Vec::new(), _turn: turn })
    }

    /// In a task of its own, which goes on when the caller is given up, as a request is whose client hangs up: sqlx rolls
    /// back what has begun, but forgets a BEGIN that is not answered yet, and would put its connection back into the
    /// pool in the middle of a transaction.
    async fn begun(&self) -> Result<Transaction<'static, Any>, sqlx::Error> {
        // IMMEDIATE: a transaction that reads first and then finds another writer could only be given up.
        let begin = self.dialect.pick("BEGIN IMMEDIATE", "BEGIN");
        let pool = self.pool.clone();
        let begun = tokio::spawn(async move { pool.begin_with(begin).await });
        begun.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
    }
}

/// Between half and all of the pause, by a hash of the moment: those that met each other do not meet again.
async fn pause(attempt: u32) {
    let longest = LONGEST_PAUSE.min(Duration::from_millis(1) * 2_u32.saturating_pow(attempt));
    let moment = uuid::Uuid::new_v4().as_bytes()[0];
    tokio::time::sleep(longest / 2 + longest / 2 * u32::from(moment) / 256).await;
}
