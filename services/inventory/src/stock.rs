//! Units in stock: available, reserved, sold. Their sum changes by deliveries alone, and none is ever below zero.
//!
//! Every transaction changes products in the order of their ids, so that no two wait for each other.

use std::collections::BTreeMap;

use serde::Serialize;
use services_kit::ApiError;
use services_kit::events::{Line, Shortage};
use services_kit::store::{Database, StoreError, Tx};
use utoipa::ToSchema;

/// The most units of a product that can be available: sums stay far from where they overflow.
pub const MOST: i64 = 1_000_000_000;

/// Units by product, in the order in which they are changed.
pub type Units = BTreeMap<String, i64>;

/// What the lines of an order take of each product.
pub fn units(lines: &[Line]) -> Units {
    let mut units = Units::new();
    for line in lines {
        *units.entry(line.product_id.clone()).or_default() += i64::from(line.quantity);
    }
    units
}

/// What is in stock of a product.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema, sqlx::FromRow)]
pub struct Stock {
    /// Which.
    pub product_id: String,
    /// Units that can be ordered now.
    pub available: i64,
    /// Units kept for orders that are not paid yet.
    pub reserved: i64,
    /// Units sold.
    pub sold: i64,
}

/// What is in stock of a product, if there is such a one.
///
/// # Errors
/// The store's.
pub async fn stock(store: &Database, id: &str) -> Result<Option<Stock>, StoreError> {
    let row = sqlx::query_as(
        "SELECT products.id AS product_id, available, sold,
             CAST(COALESCE((
                 SELECT SUM(quantity) FROM reservation_lines
                 JOIN reservations ON reservations.order_id = reservation_lines.order_id
                 WHERE reservation_lines.product_id = products.id AND state = 'reserved'
             ), 0) AS BIGINT) AS reserved
         FROM products WHERE products.id = $1",
    );
    Ok(row.bind(id).fetch_optional(store.pool()).await?)
}

/// Makes more of a product, or of every product, available; how many products that were.
///
/// # Errors
/// 409 when one would have more than [`MOST`], and then none has more; the store's.
pub async fn deliver(
    store: &Database,
    product: Option<&str>,
    quantity: i64,
) -> Result<u64, ApiError> {
    store
        .transaction(|mut tx| async move {
            // In the order of their ids, as every transaction changes them.
            let sql = tx.pick(
                "SELECT available FROM products WHERE $1 IS NULL OR id = $1",
                "SELECT available FROM products WHERE $1 IS NULL OR id = $1 ORDER BY id FOR UPDATE",
            );
            let before: Vec<i64> =
                sqlx::query_scalar(sql).bind(product).fetch_all(tx.conn()).await?;
            if before.iter().any(|available| available + quantity > MOST) {
                let message = format!("no product can have more than {MOST} units available");
                return Err(ApiError::conflict(message).code("too_many"));
            }
            let changed = sqlx::query(
                "UPDATE products SET available = available + $1 WHERE $2 IS NULL OR id = $2",
            )
            .bind(quantity)
            .bind(product)
            .execute(tx.conn())
            .await?;
            Ok(tx.done(changed.rows_affected()))
        })
        .await
}

/// Takes all of it, or nothing and says what is short.
pub(crate) async fn take(tx: &mut Tx, units: &Units) -> Result<Vec<Shortage>, StoreError> {
    let (mut taken, mut short) = (Units::new(), Vec::new());
    for (product, quantity) in units {
        if change(tx, product, -quantity, 0).await? {
            taken.insert(product.clone(), *quantity);
        } else {
            short.push(shortage(tx, product, *quantity).await?);
        }
    }
    if !short.is_empty() {
        give_back(tx, &taken).await?;
    }
    Ok(short)
}

/// Makes it available again.
pub(crate) async fn give_back(tx: &mut Tx, units: &Units) -> Result<(), StoreError> {
    for (product, quantity) in units {
        change(tx, product, *quantity, 0).await?;
    }
    Ok(())
}

/// Counts what was taken as sold.
pub(crate) async fn sell(tx: &mut Tx, units: &Units) -> Result<(), StoreError> {
    for (product, quantity) in units {
        change(tx, product, 0, *quantity).await?;
    }
    Ok(())
}

/// Makes what was sold available again.
pub(crate) async fn take_back(tx: &mut Tx, units: &Units) -> Result<(), StoreError> {
    for (product, quantity) in units {
        change(tx, product, *quantity, -quantity).await?;
    }
    Ok(())
}

/// Changes both numbers unless one would fall below zero; whether it did.
async fn change(tx: &mut Tx, product: &str, available: i64, sold: i64) -> Result<bool, StoreError> {
    let changed = sqlx::query(
        "UPDATE products SET available = available + $1, sold = sold + $2
         WHERE id = $3 AND available + $1 >= 0 AND sold + $2 >= 0",
    )
    .bind(available)
    .bind(sold)
    .bind(product)
    .execute(tx.conn())
    .await?;
    Ok(changed.rows_affected() > 0)
}

async fn shortage(tx: &mut Tx, product: &str, wanted: i64) -> Result<Shortage, StoreError> {
    let available: Option<i64> = sqlx::query_scalar("SELECT available FROM products WHERE id = $1")
        .bind(product)
        .fetch_optional(tx.conn())
        .await?;
    let count = |units: i64| u32::try_from(units).unwrap_or(u32::MAX);
    Ok(Shortage {
        product_id: product.to_owned(),
        wanted: count(wanted),
        available: count(available.unwrap_or_default()),
    })
}
