//! What is due, as rows.

use services_kit::store::{Database, StoreError, Tx, now_ms};
use sqlx::Row as _;
use sqlx::any::AnyRow;
use uuid::Uuid;

/// A charge or a refund that is due.
#[derive(Clone, Debug)]
pub(super) struct Due {
    pub(super) order_id: Uuid,
    pub(super) payment_id: Uuid,
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) provider_token: String,
    pub(super) attempts: i64,
    pub(super) traceparent: Option<String>,
    /// Why it failed, of a refund that is asked for because nobody knows whether there was a charge.
    pub(super) reason: Option<String>,
    state: String,
}

impl Due {
    pub(super) fn is_refund(&self) -> bool {
        self.state == "refunding"
    }

    fn read(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let id = |column| {
            let text: String = row.try_get(column)?;
            text.parse().map_err(|error: uuid::Error| sqlx::Error::Decode(error.into()))
        };
        Ok(Self {
            order_id: id("order_id")?,
            payment_id: id("payment_id")?,
            amount: row.try_get("amount")?,
            currency: row.try_get("currency")?,
            provider_token: row.try_get("provider_token")?,
            attempts: row.try_get("attempts")?,
            traceparent: row.try_get("traceparent")?,
            reason: row.try_get("reason")?,
            state: row.try_get("state")?,
        })
    }
}

/// Claims what is due at `now`, the longest due first: nobody else gets it before `until`. Looks before it claims: to
/// write needs the file's only write lock.
pub(super) async fn claim(
    store: &Database,
    now: i64,
    until: i64,
    most: i64,
) -> Result<Vec<Due>, StoreError> {
    let any = sqlx::query(
        "SELECT 1 FROM payments WHERE state IN ('pending', 'refunding') AND due_at <= $1 LIMIT 1",
    );
    if any.bind(now).fetch_optional(store.pool()).await?.is_none() {
        return Ok(Vec::new());
    }
    store
        .transaction(|mut tx| async move {
            let sql = tx.pick(
                "UPDATE payments SET attempts = attempts + 1, due_at = $1 WHERE order_id IN (
                     SELECT order_id FROM payments WHERE state IN ('pending', 'refunding') AND due_at <= $2
                     ORDER BY due_at LIMIT $3)
                 RETURNING order_id, payment_id, amount, currency, provider_token, attempts, traceparent, reason, state",
                "UPDATE payments SET attempts = attempts + 1, due_at = $1 WHERE order_id IN (
                     SELECT order_id FROM payments WHERE state IN ('pending', 'refunding') AND due_at <= $2
                     ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED)
                 RETURNING order_id, payment_id, amount, currency, provider_token, attempts, traceparent, reason, state",
            );
            let rows =
                sqlx::query(sql).bind(until).bind(now).bind(most).fetch_all(tx.conn()).await?;
            let due = rows.iter().map(Due::read).collect::<Result<_, _>>()?;
            Ok::<_, StoreError>(tx.done(due))
        })
        .await
}

/// Moves a payment from the state it was asked in to `next`, or to `when_cancelled` if its order was cancelled. Gives
/// whether it was, or nothing when the payment has moved on without us.
pub(super) async fn move_on(
    tx: &mut Tx,
    due: &Due,
    next: &str,
    when_cancelled: &str,
    reason: Option<&str>,
) -> Result<Option<bool>, StoreError> {
    let row = sqlx::query(
        "UPDATE payments SET state = CASE WHEN cancelled = 1 THEN $3 ELSE $4 END, reason = $5,
             provider_token = '', attempts = 0, due_at = $6, changed_at = $6
         WHERE order_id = $1 AND state = $2 RETURNING cancelled",
    )
    .bind(due.order_id.to_string())
    .bind(&due.state)
    .bind(when_cancelled)
    .bind(next)
    .bind(reason)
    .bind(now_ms())
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(row.try_get::<i64, _>("cancelled")? == 1))
}

/// Lets it be asked for again at `time`.
pub(super) async fn postpone(tx: &mut Tx, due: &Due, time: i64) -> Result<(), StoreError> {
    sqlx::query("UPDATE payments SET due_at = $3 WHERE order_id = $1 AND state = $2")
        .bind(due.order_id.to_string())
        .bind(&due.state)
        .bind(time)
        .execute(tx.conn())
        .await?;
    Ok(())
}
