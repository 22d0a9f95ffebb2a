//! The mailboxes: messages as rows.

use services_kit::store::{Database, StoreError, Tx, now_ms};
use sqlx::Row as _;
use sqlx::any::AnyRow;
use uuid::Uuid;

use crate::letter::Letter;

/// Messages that a mailbox holds; older ones go. Several years of an eager customer.
const MAILBOX: i64 = 500;

/// Who is told, and about which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Addressee {
    pub(crate) customer: Uuid,
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) order: Uuid,
    pub(crate) number: String,
}

/// A message as its reader sees it.
pub(crate) struct Message {
    pub(crate) id: Uuid,
    pub(crate) order: Uuid,
    pub(crate) subject: String,
    pub(crate) body: String,
    pub(crate) at: i64,
    pub(crate) read: bool,
}

/// Puts a message into the mailbox; its id, or nothing when the order's customer was told about this before.
pub(crate) async fn put(
    tx: &mut Tx,
    to: &Addressee,
    about: &str,
    letter: &Letter,
) -> Result<Option<Uuid>, StoreError> {
    let id = Uuid::now_v7();
    let added = sqlx::query(
        "INSERT INTO messages (id, customer_id, name, address, order_id, order_number, about, subject, body,
                               created_at, is_read)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0) ON CONFLICT DO NOTHING",
    )
    .bind(id.to_string())
    .bind(to.customer.to_string())
    .bind(&to.name)
    .bind(&to.address)
    .bind(to.order.to_string())
    .bind(&to.number)
    .bind(about)
    .bind(&letter.subject)
    .bind(&letter.body)
    .bind(now_ms())
    .execute(tx.conn())
    .await?;
    if added.rows_affected() == 0 {
        return Ok(None);
    }
    // Ids of version 7 ascend with time.
    sqlx::query(
        "DELETE FROM messages WHERE customer_id = $1 AND id <= (
             SELECT id FROM messages WHERE customer_id = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)",
    )
    .bind(to.customer.to_string())
    .bind(MAILBOX)
    .execute(tx.conn())
    .await?;
    Ok(Some(id))
}

/// Who was told about an order before.
pub(crate) async fn addressee(tx: &mut Tx, order: Uuid) -> Result<Option<Addressee>, StoreError> {
    let row = sqlx::query(
        "SELECT customer_id, name, address, order_number FROM messages WHERE order_id = $1 LIMIT 1",
    )
    .bind(order.to_string())
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Addressee {
        customer: id(&row, "customer_id")?,
        name: row.try_get("name")?,
        address: row.try_get("address")?,
        order,
        number: row.try_get("order_number")?,
    }))
}

/// A customer's messages, newest first, those before `before` if it is given.
pub(crate) async fn list(
    store: &Database,
    customer: Uuid,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Message>, StoreError> {
    let rows = sqlx::query(
        "SELECT id, order_id, subject, body, created_at, is_read FROM messages
         WHERE customer_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
    )
    .bind(customer.to_string())
    .bind(before.unwrap_or(Uuid::max()).to_string())
    .bind(limit)
    .fetch_all(store.pool())
    .await?;
    let message = |row: &AnyRow| {
        Ok(Message {
            id: id(row, "id")?,
            order: id(row, "order_id")?,
            subject: row.try_get("subject")?,
            body: row.try_get("body")?,
            at: row.try_get("created_at")?,
            read: row.try_get::<i64, _>("is_read")? == 1,
        })
    };
    rows.iter().map(message).collect()
}

/// Marks a message as read; false when the customer has none of that id.
pub(crate) async fn mark_read(
    store: &Database,
    customer: Uuid,
    message: Uuid,
) -> Result<bool, StoreError> {
    store
        .transaction(|mut tx| async move {
            let marked =
                sqlx::query("UPDATE messages SET is_read = 1 WHERE id = $1 AND customer_id = $2")
                    .bind(message.to_string())
                    .bind(customer.to_string())
                    .execute(tx.conn())
                    .await?;
            Ok::<_, StoreError>(tx.done(marked.rows_affected() == 1))
        })
        .await
}

fn id(row: &AnyRow, column: &str) -> Result<Uuid, StoreError> {
    let text: String = row.try_get(column)?;
    let id = text.parse().map_err(|error: uuid::Error| sqlx::Error::Decode(error.into()))?;
    Ok(id)
}
