//! Dead letters: events that were given up, with the reason, until somebody drives them again.

use serde::Serialize;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::attempt::{Effect, attempt};
use super::{Handler, HandlerError};
use crate::events::Event;
use crate::store::{Database, StoreError, now_ms};

/// The most that one request lists or drives.
pub(super) const MOST: u32 = 1000;

/// Of a body that is no event, this many bytes are kept.
const LONGEST_BODY: usize = 256 << 10;

/// An event that was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeadLetter {
    /// The event's id, or the message's where it is no event.
    pub id: String,
    /// Its type; `unknown` where it is no event.
    #[serde(rename = "type")]
    pub event_type: String,
    /// What it is about.
    pub key: String,
    /// The event; bytes that are not UTF-8 are replaced.
    pub body: String,
    /// Why it was given up.
    pub reason: String,
    /// How often it failed.
    pub attempts: i64,
    /// When, in unix milliseconds.
    pub died_at: i64,
}

/// What became of dead letters that were driven again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Driven {
    /// How many had their effect now, or had had it before.
    pub handled: u64,
    /// How many are dead letters still; each tells why.
    pub failed: u64,
}

impl DeadLetter {
    /// Text for the columns: a NUL is no character of Postgres.
    pub(super) fn text(body: &[u8]) -> String {
        let kept = &body[..body.len().min(LONGEST_BODY)];
        String::from_utf8_lossy(kept).replace('\0', "\u{fffd}")
    }

    fn read(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            event_type: row.try_get("type")?,
            key: row.try_get("event_key")?,
            body: row.try_get("body")?,
            reason: row.try_get("reason")?,
            attempts: row.try_get("attempts")?,
            died_at: row.try_get("died_at")?,
        })
    }
}

/// Puts an event among the dead letters; its failures are told there from now on.
pub(super) async fn bury(database: &Database, letter: &DeadLetter) -> Result<(), StoreError> {
    database
        .transaction(|mut tx| async move {
            sqlx::query(
                "INSERT INTO dead_letters (id, type, event_key, body, reason, attempts, died_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)
                 ON CONFLICT (id) DO UPDATE SET reason = excluded.reason, died_at = excluded.died_at,
                     attempts = dead_letters.attempts + excluded.attempts",
            )
            .bind(&letter.id)
            .bind(&letter.event_type)
            .bind(&letter.key)
            .bind(&letter.body)
            .bind(&letter.reason)
            .bind(letter.attempts)
            .bind(now_ms())
            .execute(tx.conn())
            .await?;
            sqlx::query("DELETE FROM inbox_failures WHERE id = $1")
                .bind(&letter.id)
                .execute(tx.conn())
                .await?;
            Ok(tx.done(()))
        })
        .await
}

/// The oldest first.
pub(super) async fn list(database: &Database, limit: u32) -> Result<Vec<DeadLetter>, StoreError> {
    let rows = sqlx::query(
        "SELECT id, type, event_key, body, reason, attempts, died_at FROM dead_letters
         ORDER BY died_at, id LIMIT $1",
    )
    .bind(i64::from(limit.min(MOST)))
    .fetch_all(database.pool())
    .await?;
    Ok(rows.iter().map(DeadLetter::read).collect::<Result<_, _>>()?)
}

pub(super) async fn count(database: &Database) -> Result<i64, StoreError> {
    let row =
        sqlx::query("SELECT COUNT(*) AS letters FROM dead_letters").fetch_one(database.pool());
    Ok(row.await?.try_get("letters")?)
}

/// Handles the oldest again, each once.
pub(super) async fn redrive(
    database: &Database,
    handler: &dyn Handler,
    limit: u32,
) -> Result<Driven, StoreError> {
    let mut driven = Driven::default();
    for letter in list(database, limit).await? {
        match again(database, handler, &letter).await {
            Ok(_) => driven.handled += 1,
            Err(HandlerError::Store(error @ StoreError::Unavailable(_))) => return Err(error),
            Err(error) => {
                driven.failed += 1;
                let reason = error.to_string();
                bury(database, &DeadLetter { reason, attempts: 1, ..letter }).await?;
            }
        }
    }
    Ok(driven)
}

async fn again(
    database: &Database,
    handler: &dyn Handler,
    letter: &DeadLetter,
) -> Result<Effect, HandlerError> {
    let event = Event::decode(letter.body.as_bytes())
        .map_err(|error| HandlerError::Never(error.to_string()))?;
    attempt(database, handler, &event).await
}
