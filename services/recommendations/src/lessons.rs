//! Lessons: paid orders, as the bus brings them, kept so that a restart does not forget them.
//!
//! The model is what the kept orders add up to. It is in memory, and so learns an order once it is kept.

use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use services_kit::events::{Body, Event, OrderPaid};
use services_kit::inbox::{Consumer, Handler, HandlerError};
use services_kit::store::{Database, Migration, StoreError, Tx, now_ms};
use services_kit::{Kit, bus};
use sqlx::Row as _;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::api::Shop;
use crate::model::{ItemId, MAX_ORDER};

/// The schema of the store.
pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 100,
    name: "lessons",
    sql: include_str!("../migrations/100_lessons.sql"),
}];

/// Orders that are kept: tastes change, and a start learns them all, in about a second.
const KEPT: i64 = 50_000;

/// How often older ones are forgotten, and how many at once.
const SWEEP: Duration = Duration::from_secs(60);
const SWEPT: u64 = 5_000;

/// Learns what was kept, then from every paid order. Gives the consumer, for the admin port.
pub(crate) async fn attend(kit: &Kit, shop: Shop) -> anyhow::Result<Consumer> {
    let store = Database::of(kit, MIGRATIONS).await?;
    recall(&store, &shop).await.context("cannot learn from the orders that were kept")?;
    let bus = bus::of(kit).await?;
    kit.spawn("sweep", sweep(store.clone(), kit.stopping().clone()));
    Ok(Consumer::start(kit, store, bus, Pupil { shop })?)
}

struct Pupil {
    shop: Shop,
}

#[async_trait]
impl Handler for Pupil {
    async fn handle(&self, tx: &mut Tx, event: &Event) -> Result<(), HandlerError> {
        let Body::OrderPaid(order) = &event.body else { return Ok(()) };
        let items = items_of(order);
        if keep(tx, order.order_id, &items).await? {
            let shop = self.shop.clone();
            tx.after(move || shop.learn(&items));
        }
        Ok(())
    }
}

/// What the model can know of an order.
fn items_of(order: &OrderPaid) -> Vec<ItemId> {
    let ids = order.lines.iter().take(MAX_ORDER).map(|line| line.product_id.clone());
    ids.filter_map(|id| ItemId::try_from(id).ok()).collect()
}

/// Keeps an order; false when it was kept before.
async fn keep(tx: &mut Tx, order: Uuid, items: &[ItemId]) -> Result<bool, HandlerError> {
    let items = serde_json::to_string(items).map_err(|e| HandlerError::Never(e.to_string()))?;
    let kept = sqlx::query(
        "INSERT INTO lessons (order_id, items, learned_at) VALUES ($1, $2, $3)
         ON CONFLICT (order_id) DO NOTHING",
    )
    .bind(order.to_string())
    .bind(items)
    .bind(now_ms())
    .execute(tx.conn())
    .await?;
    Ok(kept.rows_affected() == 1)
}

async fn recall(store: &Database, shop: &Shop) -> anyhow::Result<()> {
    let mut rows = sqlx::query("SELECT items FROM lessons ORDER BY learned_at").fetch(store.pool());
    while let Some(row) = rows.try_next().await? {
        let items: String = row.try_get("items")?;
        shop.learn(&serde_json::from_str::<Vec<ItemId>>(&items)?);
    }
    Ok(())
}

async fn sweep(store: Database, stopping: CancellationToken) {
    let mut ticks = tokio::time::interval(SWEEP);
    while stopping.run_until_cancelled(ticks.tick()).await.is_some() {
        let forgotten = async {
            while forgotten_beyond(&store, KEPT).await? == SWEPT {}
            Ok::<_, StoreError>(())
        };
        if let Err(error) = forgotten.await {
            tracing::warn!(%error, "old orders could not be forgotten");
        }
    }
}

/// Forgets the oldest orders but `kept`, or a piece of them; how many. The model keeps what it learned from them.
async fn forgotten_beyond(store: &Database, kept: i64) -> Result<u64, StoreError> {
    store
        .transaction(|mut tx| async move {
            let forgotten = sqlx::query(
                "DELETE FROM lessons WHERE order_id IN (
                     SELECT order_id FROM lessons ORDER BY learned_at DESC LIMIT $1 OFFSET $2)",
            )
            .bind(i64::try_from(SWEPT).unwrap_or(i64::MAX))
            .bind(kept)
            .execute(tx.conn())
            .await?;
            Ok::<_, StoreError>(tx.done(forgotten.rows_affected()))
        })
        .await
}

#[cfg(test)]
mod tests {
    use services_kit::store::StoreOptions;

    use super::*;

    #[tokio::test]
    async fn the_newest_orders_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().into();
        let options = StoreOptions { data, url: None, migrations: MIGRATIONS };
        let store = Database::open("recommendations", &options).await.unwrap();
        for id in 0..5_u128 {
            let (id, tea) = (Uuid::from_u128(id), ItemId::try_from("tea".to_owned()).unwrap());
            let items = &[tea];
            let keep = |mut tx: Tx| async move {
                let kept = keep(&mut tx, id, items).await?;
                Ok::<_, HandlerError>(tx.done(kept))
            };
            assert!(store.transaction(keep).await.unwrap());
            assert!(!store.transaction(keep).await.unwrap(), "an order is kept once");
        }
        assert_eq!(forgotten_beyond(&store, 3).await.unwrap(), 2);
        assert_eq!(forgotten_beyond(&store, 3).await.unwrap(), 0);
    }
}
