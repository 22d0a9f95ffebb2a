//! The store: the same SQL does the same on both databases.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use services_kit::outbox::Outbox;
use services_kit::store::{Database, Migration, StoreError};
use sqlx::Row as _;
use tokio::time::timeout;

use crate::stage::{Stage, number, until};

const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 100,
        name: "things",
        sql: "CREATE TABLE things (id TEXT NOT NULL PRIMARY KEY, count BIGINT, note TEXT, share DOUBLE PRECISION);
              CREATE TABLE parts (id TEXT NOT NULL PRIMARY KEY, thing TEXT NOT NULL REFERENCES things (id),
                  size BIGINT NOT NULL CHECK (size > 0));",
    },
    Migration { version: 101, name: "index", sql: "CREATE INDEX things_note ON things (note)" },
];

async fn opened(stage: &mut Stage) -> Database {
    stage.anew().await;
    stage.store("orders", MIGRATIONS).await
}

/// As when a service is rolled out: all its processes start on a database that none of them has seen.
pub(crate) async fn processes_that_start_at_once_migrate_once(stage: &mut Stage) {
    if stage.postgres.is_none() {
        return;
    }
    stage.anew().await;
    let stage = &*stage;
    let stores = join_all((0..4).map(|_| stage.store("orders", MIGRATIONS))).await;
    for store in &stores {
        assert_eq!(number(store, "SELECT COUNT(*) FROM things").await, Some(0));
    }
    let steps = number(&stores[0], "SELECT COUNT(*) FROM _sqlx_migrations").await;
    assert_eq!(steps, Some(4), "two of the kit, two of its own");
}

/// As when clients hang up: at any moment, also between BEGIN and its answer.
pub(crate) async fn a_caller_who_goes_away_leaves_no_transaction_behind(stage: &mut Stage) {
    if stage.postgres.is_none() {
        return;
    }
    let store = &opened(stage).await;
    let work = || {
        store.transaction(|mut tx| async move {
            sqlx::query("SELECT 1").execute(tx.conn()).await?;
            Ok::<_, StoreError>(tx.done(()))
        })
    };
    // Short of the time after which Postgres itself ends such a session.
    let soon = Duration::from_secs(10);
    let open = "SELECT COUNT(*) FROM pg_stat_activity
                WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    for step in 1..=20 {
        timeout(Duration::from_micros(100 * step), join_all((0..10).map(|_| work()))).await.ok();
        let none = until("none is open", || async { number(store, open).await == Some(0) });
        timeout(soon, none).await.unwrap();
    }
}

pub(crate) async fn what_follows_a_commit_is_done_once_and_after_it(stage: &mut Stage) {
    let store = &opened(stage).await;
    let done = &Arc::new(AtomicU32::new(0));
    let attempts = &AtomicU32::new(0);
    let work = |fails: u32, error: fn(String) -> StoreError| {
        store.transaction(move |mut tx| async move {
            let counter = Arc::clone(done);
            tx.after(move || {
                counter.fetch_add(1, Ordering::SeqCst);
            });
            assert_eq!(done.load(Ordering::SeqCst), 0, "not before the commit");
            if attempts.fetch_add(1, Ordering::SeqCst) < fails {
                return Err(error("others were in the way".into()));
            }
            Ok(tx.done(()))
        })
    };
    assert!(work(1, StoreError::Conflict).await.is_err());
    assert_eq!(done.load(Ordering::SeqCst), 0, "it was undone");
    attempts.store(0, Ordering::SeqCst);
    work(3, StoreError::Contended).await.unwrap();
    assert_eq!((attempts.load(Ordering::SeqCst), done.load(Ordering::SeqCst)), (4, 1));
}

async fn add(store: &Database, id: &str, count: Option<i64>) -> Result<(), StoreError> {
    store
        .transaction(|mut tx| async move {
            let insert = sqlx::query("INSERT INTO things (id, count, note) VALUES ($1, $2, $3)");
            insert.bind(id).bind(count).bind(None::<String>).execute(tx.conn()).await?;
            Ok(tx.done(()))
        })
        .await
}

pub(crate) async fn values_of_every_kind_come_back(stage: &mut Stage) {
    let store = opened(stage).await;
    for (id, count, note, share) in
        [("all", Some(i64::MAX), Some("ünï\n'"), Some(0.1)), ("none", None, None, None)]
    {
        store
            .transaction(|mut tx| async move {
                let insert = "INSERT INTO things (id, count, note, share) VALUES ($1, $2, $3, $4)";
                let insert = sqlx::query(insert).bind(id).bind(count).bind(note).bind(share);
                insert.execute(tx.conn()).await?;
                Ok::<_, StoreError>(tx.done(()))
            })
            .await
            .unwrap();
        let select = "SELECT count, note, share, count IS NULL AND note IS NULL, 1 + 1 AS two FROM things WHERE id = $1";
        let row = sqlx::query(select).bind(id).fetch_one(store.pool()).await.unwrap();
        assert_eq!(row.get::<Option<i64>, _>("count"), count);
        assert_eq!(row.get::<Option<String>, _>("note").as_deref(), note);
        assert_eq!(row.get::<Option<f64>, _>("share"), share);
    }
    let sum = "SELECT CAST(COALESCE(SUM(count), 0) AS BIGINT) FROM things WHERE count > 0";
    assert_eq!(number(&store, sum).await, Some(i64::MAX));
    assert_eq!(number(&store, "SELECT COUNT(*) FROM things").await, Some(2));
    // Opened again, there is nothing left to migrate.
    let again = stage.store("orders", MIGRATIONS).await;
    assert_eq!(number(&again, "SELECT COUNT(*) FROM things").await, Some(2));
    // Another service sees none of it.
    let other = stage.store("users", MIGRATIONS).await;
    assert_eq!(number(&other, "SELECT COUNT(*) FROM things").await, Some(0));
}

pub(crate) async fn what_is_not_done_never_was(stage: &mut Stage) {
    let store = opened(stage).await;
    let refused: Result<(), StoreError> = store
        .transaction(|mut tx| async move {
            sqlx::query("INSERT INTO things (id) VALUES ('a')").execute(tx.conn()).await?;
            Outbox::add(&mut tx, &crate::events::reserved("a", 1)).await?;
            Err(StoreError::Conflict("changed my mind".into()))
        })
        .await;
    assert!(refused.is_err());
    assert_eq!(number(&store, "SELECT COUNT(*) FROM things").await, Some(0));
    assert_eq!(number(&store, "SELECT COUNT(*) FROM outbox").await, Some(0));
}

/// Reads, then writes: without the lock that is meant for it, counts would be lost.
async fn increment(store: &Database) -> Result<(), StoreError> {
    store
        .transaction(|mut tx| async move {
            let select = tx.pick(
                "SELECT count FROM things WHERE id = 'a'",
                "SELECT count FROM things WHERE id = 'a' FOR UPDATE",
            );
            let count: i64 = sqlx::query_scalar(select).fetch_one(tx.conn()).await?;
            tokio::task::yield_now().await;
            let update = sqlx::query("UPDATE things SET count = $1 WHERE id = 'a'");
            update.bind(count + 1).execute(tx.conn()).await?;
            Ok(tx.done(()))
        })
        .await
}

pub(crate) async fn writers_of_one_row_wait_for_each_other(stage: &mut Stage) {
    let store = opened(stage).await;
    add(&store, "a", Some(0)).await.unwrap();
    let second = stage.store("orders", MIGRATIONS).await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..40 {
        let store = if number % 2 == 0 { store.clone() } else { second.clone() };
        tasks.spawn(async move {
            for _ in 0..5 {
                increment(&store).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(number(&store, "SELECT count FROM things").await, Some(200));
}

pub(crate) async fn a_conflict_is_told_from_a_mistake(stage: &mut Stage) {
    let store = opened(stage).await;
    add(&store, "a", None).await.unwrap();
    let twice = add(&store, "a", None).await.unwrap_err();
    assert!(matches!(twice, StoreError::Conflict(_)), "{twice:?}");
    for (sql, what) in [
        ("INSERT INTO parts (id, thing, size) VALUES ('p', 'nothing', 1)", "no such thing"),
        ("INSERT INTO parts (id, thing, size) VALUES ('p', 'a', 0)", "too small"),
    ] {
        let error = StoreError::from(sqlx::query(sql).execute(store.pool()).await.unwrap_err());
        assert!(matches!(error, StoreError::Conflict(_)), "{what}: {error:?}");
    }
    let error = sqlx::query("SELECT nothing FROM things").execute(store.pool()).await.unwrap_err();
    let error = StoreError::from(error);
    assert!(matches!(error, StoreError::Bug(_)), "{error:?}");
}

pub(crate) async fn a_database_that_was_killed_is_used_again(stage: &mut Stage) {
    let store = opened(stage).await;
    // Fills the pool with connections that will all be dead.
    let many = (0..10).map(|_| store.check());
    join_all(many).await;
    add(&store, "before", None).await.unwrap();
    if let Some(postgres) = &mut stage.postgres {
        postgres.kill();
        let away = add(&store, "during", None).await.unwrap_err();
        assert!(matches!(away, StoreError::Unavailable(_)), "{away:?}");
        assert!(store.check().await.is_err());
        postgres.start().unwrap();
    }
    let store = &store;
    until("the store answers", || async move { store.check().await.is_ok() }).await;
    add(store, "after", None).await.unwrap();
    assert_eq!(number(store, "SELECT COUNT(*) FROM things").await, Some(2));
}
