//! One attempt: the event's id, its effect and its own events in one transaction.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;

use super::{Handler, HandlerError};
use crate::events::Event;
use crate::store::{Database, Dialect, Tx, now_ms};

/// What became of an attempt that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It had its effect.
    Had,
    /// It had it before.
    HadBefore,
}

/// Everything that is known of the event as a failure goes with its success.
pub(super) async fn attempt(
    database: &Database,
    handler: &dyn Handler,
    event: &Event,
) -> Result<Effect, HandlerError> {
    let id = &event.id.to_string();
    database
        .transaction(|mut tx| async move {
            if !enter(&mut tx, id).await? {
                return Ok(tx.done(Effect::HadBefore));
            }
            guarded(handler, &mut tx, event).await?;
            Ok(tx.done(Effect::Had))
        })
        .await
}

/// Writes down that the event was handled, and forgets how often it failed; false when it was handled before. One trip
/// to Postgres instead of three: this is done for each event.
async fn enter(tx: &mut Tx, id: &str) -> Result<bool, HandlerError> {
    let sql = tx.pick(
        "INSERT INTO inbox (id, handled_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        "WITH failures AS (DELETE FROM inbox_failures WHERE id = $1),
             letters AS (DELETE FROM dead_letters WHERE id = $1)
         INSERT INTO inbox (id, handled_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
    );
    let entered = sqlx::query(sql).bind(id).bind(now_ms()).execute(tx.conn()).await?;
    if tx.dialect() == Dialect::Sqlite {
        forget(tx, id).await?;
    }
    Ok(entered.rows_affected() > 0)
}

/// A panic is a failure like others: the transaction is undone.
async fn guarded(handler: &dyn Handler, tx: &mut Tx, event: &Event) -> Result<(), HandlerError> {
    let handled = AssertUnwindSafe(handler.handle(tx, event)).catch_unwind().await;
    handled.unwrap_or_else(|_| Err(HandlerError::Again("the handler panicked".to_owned())))
}

async fn forget(tx: &mut Tx, id: &str) -> Result<(), HandlerError> {
    sqlx::query("DELETE FROM inbox_failures WHERE id = $1").bind(id).execute(tx.conn()).await?;
    sqlx::query("DELETE FROM dead_letters WHERE id = $1").bind(id).execute(tx.conn()).await?;
    Ok(())
}

/// Counts a failure; how many there were.
pub(super) async fn failed(
    database: &Database,
    event: &Event,
    error: &str,
) -> Result<u32, HandlerError> {
    let id = &event.id.to_string();
    let row: (i64,) = database
        .transaction(|mut tx| async move {
            let count = sqlx::query_as(
                "INSERT INTO inbox_failures (id, attempts, last_error, failed_at) VALUES ($1, 1, $2, $3)
                 ON CONFLICT (id) DO UPDATE SET attempts = inbox_failures.attempts + 1,
                     last_error = excluded.last_error, failed_at = excluded.failed_at
                 RETURNING attempts",
            )
            .bind(id)
            .bind(error)
            .bind(now_ms());
            let count = count.fetch_one(tx.conn()).await?;
            Ok::<_, HandlerError>(tx.done(count))
        })
        .await?;
    Ok(u32::try_from(row.0).unwrap_or(u32::MAX))
}
