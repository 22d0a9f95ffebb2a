//! What ends by time: orders that nobody pays, carts that nobody comes back to, keys that nobody uses again.

use std::time::Duration;

use services_kit::store::{Database, StoreError, now_ms};
use tokio::time::interval;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::order::Happening;
use crate::progress::{Progress, happens};
use crate::{cart, checkout, store};

/// How long an order may take to be paid. The parts that are down may be up again by then, and stock is kept for
/// longer, so that it is this service that ends an order.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// How long a cart waits for a visitor who never signed in.
const CART: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long the answer to a checkout is kept for those who ask again.
const ANSWER: Duration = Duration::from_secs(24 * 3600);

/// How often, and how many orders at once.
const PAUSE: Duration = Duration::from_secs(10);
const MOST: i64 = 1000;

/// Looks at the time until the service stops.
pub(crate) async fn sweep(store: Database, progress: Progress, stopping: CancellationToken) {
    let mut ticks = interval(PAUSE);
    while stopping.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Err(error) = sweep_at(&store, &progress, now_ms()).await {
            warn!(%error, "what ends by time was not ended");
        }
    }
}

/// Ends what is over at `now`; how many orders that were.
async fn sweep_at(store: &Database, progress: &Progress, now: i64) -> Result<usize, StoreError> {
    let before = |duration: Duration| now - i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    let mut cancelled = 0;
    for id in store::unpaid(store, before(PATIENCE), MOST).await? {
        let moved = store
            .transaction(|mut tx| async move {
                let moved = happens(&mut tx, id, Happening::TimedOut, now).await?;
                Ok::<_, StoreError>(tx.done(moved))
            })
            .await?;
        if let Some(moved) = moved {
            progress.count(&moved);
            cancelled += 1;
        }
    }
    if cancelled > 0 {
        info!(orders = cancelled, "orders that took too long were cancelled");
    }
    cart::forget_visits(store, before(CART)).await?;
    checkout::forget(store, before(ANSWER)).await?;
    Ok(cancelled)
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;
    use services_kit::store::StoreOptions;
    use tempfile::TempDir;

    use super::*;
    use crate::MIGRATIONS;

    async fn open(data: &TempDir) -> (Database, Progress) {
        let options = StoreOptions { data: data.path().into(), url: None, migrations: MIGRATIONS };
        let store = Database::open("orders", &options).await.unwrap();
        (store, Progress::register(&Registry::new()).unwrap())
    }

    async fn write(store: &Database, sql: &'static str, at: i64) {
        store
            .transaction(|mut tx| async move {
                sqlx::query(sql).bind(at).execute(tx.conn()).await?;
                Ok::<_, StoreError>(tx.done(()))
            })
            .await
            .unwrap();
    }

    async fn count(store: &Database, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(store.pool()).await.unwrap()
    }

    #[tokio::test]
    async fn an_order_that_nobody_pays_is_cancelled_in_time_and_one_that_is_paid_is_not() {
        let data = TempDir::new().unwrap();
        let (store, progress) = open(&data).await;
        let now = 1_800_000_000_000;
        for sql in [
            "INSERT INTO orders VALUES ('00000000-0000-0000-0000-000000000001', 'A',
                 '00000000-0000-0000-0000-000000000000', 'ada@example.org', 'Ada', 'reserved',
                 NULL, '[{\"state\":\"placed\",\"at\":0}]', '[]', 0, 'EUR',
                 '{\"street\":\"a\",\"city\":\"b\",\"postcode\":\"abc\",\"country\":\"d\"}',
                 '4242', 'pending', NULL, $1)",
            "INSERT INTO orders VALUES ('00000000-0000-0000-0000-000000000002', 'B',
                 '00000000-0000-0000-0000-000000000000', 'ada@example.org', 'Ada', 'paid',
                 NULL, '[{\"state\":\"placed\",\"at\":0}]', '[]', 0, 'EUR',
                 '{\"street\":\"a\",\"city\":\"b\",\"postcode\":\"abc\",\"country\":\"d\"}',
                 '4242', 'paid', NULL, $1)",
        ] {
            write(&store, sql, now).await;
        }
        let patience = i64::try_from(PATIENCE.as_millis()).unwrap();
        assert_eq!(sweep_at(&store, &progress, now + patience - 1).await.unwrap(), 0);
        assert_eq!(sweep_at(&store, &progress, now + patience).await.unwrap(), 1);
        assert_eq!(sweep_at(&store, &progress, now + patience).await.unwrap(), 0);
        let cancelled = "SELECT COUNT(*) FROM orders WHERE state = 'cancelled' AND number = 'A'";
        assert_eq!(count(&store, cancelled).await, 1);
        let told = "SELECT COUNT(*) FROM outbox WHERE type = 'order.cancelled'";
        assert_eq!(count(&store, told).await, 1);
    }

    #[tokio::test]
    async fn carts_of_visits_and_answers_go_in_time_and_carts_of_customers_stay() {
        let data = TempDir::new().unwrap();
        let (store, progress) = open(&data).await;
        let now = 1_800_000_000_000;
        for sql in [
            "INSERT INTO cart_lines VALUES ('visit:1', 'tea', 1, $1, $1)",
            "INSERT INTO cart_lines VALUES ('customer:1', 'tea', 1, $1, $1)",
            "INSERT INTO checkouts VALUES ('1', 'key', 'hash', '\"empty\"', $1)",
        ] {
            write(&store, sql, now).await;
        }
        let lines = "SELECT COUNT(*) FROM cart_lines";
        let answers = "SELECT COUNT(*) FROM checkouts";
        let later = |duration: Duration| now + i64::try_from(duration.as_millis()).unwrap();
        for (at, expected) in [(later(ANSWER), (2, 1)), (later(ANSWER) + 1, (2, 0))] {
            sweep_at(&store, &progress, at).await.unwrap();
            assert_eq!((count(&store, lines).await, count(&store, answers).await), expected);
        }
        sweep_at(&store, &progress, later(CART) + 1).await.unwrap();
        assert_eq!(count(&store, lines).await, 1);
    }
}
