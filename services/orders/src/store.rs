//! Orders in the store: one row each, with lines, address and history as JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;
use services_kit::events::Customer;
use services_kit::store::{Database, StoreError, Tx};
use uuid::Uuid;

use crate::order::{Order, Payment, State};

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    number: String,
    customer_id: String,
    customer_email: String,
    customer_name: String,
    state: String,
    reason: Option<String>,
    history: String,
    lines: String,
    total: i64,
    currency: String,
    address: String,
    last4: String,
    payment_state: String,
    payment_id: Option<String>,
}

/// A row that this program has not written so.
fn bug(error: impl Into<sqlx::error::BoxDynError>) -> StoreError {
    StoreError::Bug(sqlx::Error::Decode(error.into()))
}

fn id(text: &str) -> Result<Uuid, StoreError> {
    Uuid::parse_str(text).map_err(bug)
}

fn read<T: DeserializeOwned>(json: &str) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(bug)
}

fn written(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(bug)
}

fn state(name: &str) -> Result<State, StoreError> {
    use State::{Cancelled, Notified, Paid, Placed, Reserved};
    let states = [Placed, Reserved, Paid, Notified, Cancelled];
    let found = states.into_iter().find(|state| state.name() == name);
    found.ok_or_else(|| bug(format!("state {name}")))
}

fn payment(name: &str) -> Result<Payment, StoreError> {
    use Payment::{Failed, Paid, Pending, Refunded};
    let states = [Pending, Paid, Failed, Refunded];
    let found = states.into_iter().find(|state| state.name() == name);
    found.ok_or_else(|| bug(format!("payment {name}")))
}

impl TryFrom<Row> for Order {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let customer = id(&row.customer_id)?;
        Ok(Self {
            id: id(&row.id)?,
            number: row.number,
            customer: Customer { id: customer, email: row.customer_email, name: row.customer_name },
            state: state(&row.state)?,
            reason: row.reason,
            history: read(&row.history)?,
            lines: read(&row.lines)?,
            total: row.total,
            currency: row.currency,
            address: read(&row.address)?,
            last4: row.last4,
            payment: payment(&row.payment_state)?,
            payment_id: row.payment_id.as_deref().map(id).transpose()?,
        })
    }
}

pub(crate) async fn insert(tx: &mut Tx, order: &Order) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO orders (id, number, customer_id, customer_email, customer_name, state, reason,
             history, lines, total, currency, address, last4, payment_state, payment_id, placed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
    )
    .bind(order.id.to_string())
    .bind(&order.number)
    .bind(order.customer.id.to_string())
    .bind(&order.customer.email)
    .bind(&order.customer.name)
    .bind(order.state.name())
    .bind(&order.reason)
    .bind(written(&order.history)?)
    .bind(written(&order.lines)?)
    .bind(order.total)
    .bind(&order.currency)
    .bind(written(&order.address)?)
    .bind(&order.last4)
    .bind(order.payment.name())
    .bind(order.payment_id.map(|id| id.to_string()))
    .bind(order.placed_at())
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Writes what may have changed.
pub(crate) async fn update(tx: &mut Tx, order: &Order) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE orders SET state = $1, reason = $2, history = $3, payment_state = $4,
             payment_id = $5
         WHERE id = $6",
    )
    .bind(order.state.name())
    .bind(&order.reason)
    .bind(written(&order.history)?)
    .bind(order.payment.name())
    .bind(order.payment_id.map(|id| id.to_string()))
    .bind(order.id.to_string())
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// An order that nobody else changes until the transaction ends.
pub(crate) async fn lock(tx: &mut Tx, id: Uuid) -> Result<Option<Order>, StoreError> {
    let sql = tx.pick(
        "SELECT id, number, customer_id, customer_email, customer_name, state, reason, history,
             lines, total, currency, address, last4, payment_state, payment_id
         FROM orders WHERE id = $1",
        "SELECT id, number, customer_id, customer_email, customer_name, state, reason, history,
             lines, total, currency, address, last4, payment_state, payment_id
         FROM orders WHERE id = $1 FOR UPDATE",
    );
    let row: Option<Row> =
        sqlx::query_as(sql).bind(id.to_string()).fetch_optional(tx.conn()).await?;
    row.map(Order::try_from).transpose()
}

/// A customer's order.
pub(crate) async fn one(
    store: &Database,
    customer: Uuid,
    id: Uuid,
) -> Result<Option<Order>, StoreError> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT id, number, customer_id, customer_email, customer_name, state, reason, history,
             lines, total, currency, address, last4, payment_state, payment_id
         FROM orders WHERE id = $1 AND customer_id = $2",
    )
    .bind(id.to_string())
    .bind(customer.to_string())
    .fetch_optional(store.pool())
    .await?;
    row.map(Order::try_from).transpose()
}

/// A customer's orders from before `before`, the newest first.
pub(crate) async fn list(
    store: &Database,
    customer: Uuid,
    before: Uuid,
    most: i64,
) -> Result<Vec<Order>, StoreError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT id, number, customer_id, customer_email, customer_name, state, reason, history,
             lines, total, currency, address, last4, payment_state, payment_id
         FROM orders WHERE customer_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
    )
    .bind(customer.to_string())
    .bind(before.to_string())
    .bind(most)
    .fetch_all(store.pool())
    .await?;
    rows.into_iter().map(Order::try_from).collect()
}

/// Orders that were placed until `then` and are not paid, the oldest first.
pub(crate) async fn unpaid(
    store: &Database,
    then: i64,
    most: i64,
) -> Result<Vec<Uuid>, StoreError> {
    let ids: Vec<String> = sqlx::query_scalar(
        "SELECT id FROM orders WHERE state IN ('placed', 'reserved') AND placed_at <= $1
         ORDER BY placed_at LIMIT $2",
    )
    .bind(then)
    .bind(most)
    .fetch_all(store.pool())
    .await?;
    ids.iter().map(|text| id(text)).collect()
}
