//! What is written down of reservations: their state, and what they hold.

use services_kit::store::{Database, StoreError, Tx};

use crate::stock::Units;

/// Where a reservation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Stock is kept.
    Reserved,
    /// There was too little.
    Rejected,
    /// Its stock is sold.
    Committed,
    /// Its stock was given back; the order is over.
    Released,
    /// Its stock was given back as nobody paid in time.
    Expired,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Rejected => "rejected",
            Self::Committed => "committed",
            Self::Released => "released",
            Self::Expired => "expired",
        }
    }

    fn named(name: &str) -> Result<Self, StoreError> {
        [Self::Reserved, Self::Rejected, Self::Committed, Self::Released, Self::Expired]
            .into_iter()
            .find(|state| state.name() == name)
            .ok_or_else(|| StoreError::Bug(sqlx::Error::Decode(format!("state {name}").into())))
    }
}

/// Opens a reservation unless there is one; whether it did.
pub(super) async fn open(
    tx: &mut Tx,
    id: &str,
    state: State,
    expires_at: i64,
    now: i64,
) -> Result<bool, StoreError> {
    let opened = sqlx::query(
        "INSERT INTO reservations (order_id, state, expires_at, changed_at)
         VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
    )
    .bind(id)
    .bind(state.name())
    .bind(expires_at)
    .bind(now)
    .execute(tx.conn())
    .await?;
    Ok(opened.rows_affected() > 0)
}

/// Where one is that there is; nobody else moves it until the transaction ends.
pub(super) async fn lock(tx: &mut Tx, id: &str) -> Result<State, StoreError> {
    let sql = tx.pick(
        "SELECT state FROM reservations WHERE order_id = $1",
        "SELECT state FROM reservations WHERE order_id = $1 FOR UPDATE",
    );
    let state: String = sqlx::query_scalar(sql).bind(id).fetch_one(tx.conn()).await?;
    State::named(&state)
}

pub(super) async fn set(tx: &mut Tx, id: &str, state: State, now: i64) -> Result<(), StoreError> {
    sqlx::query("UPDATE reservations SET state = $1, changed_at = $2 WHERE order_id = $3")
        .bind(state.name())
        .bind(now)
        .bind(id)
        .execute(tx.conn())
        .await?;
    Ok(())
}

pub(super) async fn add_lines(tx: &mut Tx, id: &str, units: &Units) -> Result<(), StoreError> {
    for (product, quantity) in units {
        sqlx::query(
            "INSERT INTO reservation_lines (order_id, product_id, quantity) VALUES ($1, $2, $3)",
        )
        .bind(id)
        .bind(product)
        .bind(quantity)
        .execute(tx.conn())
        .await?;
    }
    Ok(())
}

pub(super) async fn lines(tx: &mut Tx, id: &str) -> Result<Units, StoreError> {
    let lines: Vec<(String, i64)> =
        sqlx::query_as("SELECT product_id, quantity FROM reservation_lines WHERE order_id = $1")
            .bind(id)
            .fetch_all(tx.conn())
            .await?;
    Ok(lines.into_iter().collect())
}

pub(super) async fn remove_lines(tx: &mut Tx, id: &str) -> Result<Units, StoreError> {
    let lines: Vec<(String, i64)> = sqlx::query_as(
        "DELETE FROM reservation_lines WHERE order_id = $1 RETURNING product_id, quantity",
    )
    .bind(id)
    .fetch_all(tx.conn())
    .await?;
    Ok(lines.into_iter().collect())
}

/// Reservations whose time is over.
pub(super) async fn due(
    store: &Database,
    now: i64,
    most: usize,
) -> Result<Vec<String>, StoreError> {
    let due = sqlx::query_scalar(
        "SELECT order_id FROM reservations WHERE state = 'reserved' AND expires_at <= $1
         ORDER BY expires_at LIMIT $2",
    );
    Ok(due.bind(now).bind(limit(most)).fetch_all(store.pool()).await?)
}

/// Whether one's time is still over; nobody else moves it until the transaction ends.
pub(super) async fn is_due(tx: &mut Tx, id: &str, now: i64) -> Result<bool, StoreError> {
    let sql = tx.pick(
        "SELECT expires_at FROM reservations
         WHERE order_id = $1 AND state = 'reserved' AND expires_at <= $2",
        "SELECT expires_at FROM reservations
         WHERE order_id = $1 AND state = 'reserved' AND expires_at <= $2 FOR UPDATE",
    );
    let due: Option<i64> =
        sqlx::query_scalar(sql).bind(id).bind(now).fetch_optional(tx.conn()).await?;
    Ok(due.is_some())
}

fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

/// Forgets reservations that ended before `then`; how many.
pub(super) async fn forget(store: &Database, then: i64, most: usize) -> Result<usize, StoreError> {
    store
        .transaction(|mut tx| async move {
            let old: Vec<String> = sqlx::query_scalar(
                "DELETE FROM reservations WHERE order_id IN (
                     SELECT order_id FROM reservations
                     WHERE changed_at < $1 AND state <> 'reserved' ORDER BY changed_at LIMIT $2)
                 RETURNING order_id",
            )
            .bind(then)
            .bind(limit(most))
            .fetch_all(tx.conn())
            .await?;
            for id in &old {
                remove_lines(&mut tx, id).await?;
            }
            Ok(tx.done(old.len()))
        })
        .await
}
