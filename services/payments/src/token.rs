//! Tokens: what stands for a card between the checkout and the charge. One pays one order of one customer.

use std::time::Duration;

use services_kit::store::{Database, StoreError, Tx, now_ms};
use sqlx::Row as _;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long a token can be used. An order is charged within seconds; after an outage, within hours.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// How often those that were not used are forgotten.
const SWEEP: Duration = Duration::from_secs(60);

/// What is kept of a card.
pub(crate) struct Kept {
    pub(crate) provider_token: String,
    pub(crate) last4: String,
}

/// Keeps a card and gives its token.
pub(crate) async fn keep(
    store: &Database,
    customer: Uuid,
    kept: &Kept,
) -> Result<String, StoreError> {
    let token = &format!("tok_{}", Uuid::new_v4().simple());
    store
        .transaction(|mut tx| async move {
            sqlx::query(
                "INSERT INTO tokens (token, customer_id, provider_token, last4, created_at)
                 VALUES ($1, $2, $3, $4, $5)",
            )
            .bind(token)
            .bind(customer.to_string())
            .bind(&kept.provider_token)
            .bind(&kept.last4)
            .bind(now_ms())
            .execute(tx.conn())
            .await?;
            Ok::<_, StoreError>(tx.done(()))
        })
        .await?;
    Ok(token.clone())
}

/// Takes a token of this customer: it is there once.
pub(crate) async fn take(
    tx: &mut Tx,
    token: &str,
    customer: Uuid,
) -> Result<Option<Kept>, StoreError> {
    let row = sqlx::query(
        "DELETE FROM tokens WHERE token = $1 AND customer_id = $2 RETURNING provider_token, last4",
    )
    .bind(token)
    .bind(customer.to_string())
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Kept { provider_token: row.try_get("provider_token")?, last4: row.try_get("last4")? }))
}

/// Forgets tokens that were never used.
pub(crate) async fn sweep(store: Database, stopping: CancellationToken) {
    let mut ticks = tokio::time::interval(SWEEP);
    while stopping.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Err(error) = forget_before(&store, now_ms() - millis(LIFETIME)).await {
            tracing::warn!(%error, "old tokens could not be forgotten");
        }
    }
}

async fn forget_before(store: &Database, time: i64) -> Result<u64, StoreError> {
    let sql = "DELETE FROM tokens WHERE token IN (
                   SELECT token FROM tokens WHERE created_at < $1 ORDER BY created_at LIMIT $2)";
    store.forget(sql, time).await
}

/// As stores keep times.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use services_kit::store::StoreOptions;

    use super::*;

    #[tokio::test]
    async fn a_token_is_its_customers_alone_is_used_once_and_is_forgotten_when_old() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().into();
        let options = StoreOptions { data, url: None, migrations: crate::MIGRATIONS };
        let store = Database::open("payments", &options).await.unwrap();
        let kept = Kept { provider_token: "pays_1".into(), last4: "4242".into() };
        let (ada, eve) = (Uuid::new_v4(), Uuid::new_v4());
        let token = &keep(&store, ada, &kept).await.unwrap();
        let taken: Vec<bool> = store
            .transaction(|mut tx| async move {
                let mut taken = Vec::new();
                for customer in [eve, ada, ada] {
                    taken.push(take(&mut tx, token, customer).await?.is_some());
                }
                Ok::<_, StoreError>(tx.done(taken))
            })
            .await
            .unwrap();
        assert_eq!(taken, [false, true, false]);
        keep(&store, ada, &kept).await.unwrap();
        assert_eq!(forget_before(&store, now_ms() - 60_000).await.unwrap(), 0);
        assert_eq!(forget_before(&store, now_ms() + 60_000).await.unwrap(), 1);
    }
}
