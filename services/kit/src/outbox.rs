//! The transactional outbox: events are rows of the transaction that they tell of, and a relay publishes them after.
//!
//! The relay asks for what is not published; it keeps no place in a sequence, as rows become visible in another order
//! than their numbers are given out. It publishes the oldest event of each key, so that one that fails holds up its
//! own key only. A failure is never final: what is confirmed may be published twice, and nothing is given up.

mod relay;

use crate::events::{Event, EventError};
use crate::store::{Dialect, Migration, StoreError, Tx, now_ms};

pub use relay::Relay;

/// Events of a transaction under way.
pub struct Outbox;

/// Why an event was not added.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// It is too large or its key does not fit.
    #[error("an event does not fit: {0}")]
    Event(#[from] EventError),
    /// The row could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An event that cannot be written is our mistake.
impl From<OutboxError> for StoreError {
    fn from(error: OutboxError) -> Self {
        match error {
            OutboxError::Store(error) => error,
            OutboxError::Event(error) => Self::Bug(sqlx::Error::Encode(error.into())),
        }
    }
}

impl Outbox {
    /// Adds an event to the transaction: it is published if and when that commits.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Bug`] for an event that is too large or has no fit key.
    pub async fn add(tx: &mut Tx, event: &Event) -> Result<(), StoreError> {
        let payload = event.encode().map_err(OutboxError::from)?;
        let payload = String::from_utf8_lossy(&payload).into_owned();
        sqlx::query(
            "INSERT INTO outbox (id, event_key, type, payload, created_at) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(event.id.to_string())
        .bind(&event.key)
        .bind(event.event_type().name())
        .bind(payload)
        .bind(now_ms())
        .execute(tx.conn())
        .await?;
        tx.has_events();
        Ok(())
    }
}

/// The numbers are given out by the database. Two events of one key come from transactions that follow each other, as
/// both hold the row they are about, so their numbers ascend.
pub(crate) fn migration(dialect: Dialect) -> Migration {
    let sql = dialect.pick(
        concat!(
            "CREATE TABLE outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT",
            include_str!("outbox/columns.sql")
        ),
        concat!(
            "CREATE TABLE outbox (seq BIGSERIAL PRIMARY KEY",
            include_str!("outbox/columns.sql")
        ),
    );
    Migration { version: 1, name: "outbox", sql }
}
