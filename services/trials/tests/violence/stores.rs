//! The services' stores, read where no customer can look.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use services_kit::Peer;
use services_kit::events::SUBSCRIPTIONS;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, FromRow};

const LOOK: Duration = Duration::from_millis(300);

pub(crate) struct Stores {
    postgres: Option<String>,
    data: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub(crate) struct Stock {
    pub(crate) product: String,
    pub(crate) available: i64,
    pub(crate) sold: i64,
}

/// An event that a service wrote down.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct Told {
    id: String,
    pub(crate) event_key: String,
    #[sqlx(rename = "type")]
    pub(crate) event_type: String,
}

#[derive(Clone, Debug, FromRow)]
pub(crate) struct Payment {
    pub(crate) order_id: String,
    pub(crate) amount: i64,
    pub(crate) state: String,
}

#[derive(Clone, Debug, FromRow)]
pub(crate) struct Reservation {
    pub(crate) order_id: String,
    pub(crate) state: String,
}

impl Stores {
    /// Of a shop that keeps them in this Postgres, or in this directory.
    pub(crate) fn new(postgres: Option<String>, data: &Path) -> Self {
        sqlx::any::install_default_drivers();
        Self { postgres, data: data.to_owned() }
    }

    async fn rows<T>(&self, service: &str, sql: &'static str) -> Vec<T>
    where
        T: for<'r> FromRow<'r, AnyRow> + Send + Unpin,
    {
        let file = || format!("sqlite://{}/{service}.db", self.data.display());
        let url = self.postgres.clone().unwrap_or_else(file);
        let mut connection = AnyConnection::connect(&url).await.unwrap();
        if self.postgres.is_some() {
            let schema = AssertSqlSafe(format!("SET search_path TO {service}"));
            sqlx::query(schema).execute(&mut connection).await.unwrap();
        }
        let rows = sqlx::query_as(sql).fetch_all(&mut connection).await.unwrap();
        connection.close().await.ok();
        rows
    }

    pub(crate) async fn stock(&self) -> Vec<Stock> {
        let sql = "SELECT id AS product, available, sold FROM products ORDER BY rank";
        self.rows("inventory", sql).await
    }

    pub(crate) async fn reservations(&self) -> Vec<Reservation> {
        self.rows("inventory", "SELECT order_id, state FROM reservations").await
    }

    pub(crate) async fn payments(&self) -> Vec<Payment> {
        self.rows("payments", "SELECT order_id, amount, state FROM payments").await
    }

    /// How many orders there are, whoever knows of them.
    pub(crate) async fn orders(&self) -> i64 {
        let count: Vec<(i64,)> = self.rows("orders", "SELECT COUNT(*) FROM orders").await;
        count[0].0
    }

    /// All events that were ever written down.
    pub(crate) async fn told(&self) -> Vec<Told> {
        let mut told = Vec::new();
        for teller in ["inventory", "orders", "payments", "notifications"] {
            let sql = "SELECT id, event_key, type FROM outbox";
            told.extend(self.rows::<Told>(teller, sql).await);
        }
        told
    }

    pub(crate) async fn dead_letters(&self) -> Vec<String> {
        let mut letters = Vec::new();
        for (service, _) in SUBSCRIPTIONS {
            let sql = "SELECT type, event_key, reason FROM dead_letters";
            let dead: Vec<(String, String, String)> = self.rows(service.name(), sql).await;
            letters.extend(dead.iter().map(|dead| format!("dead in {}: {dead:?}", service.name())));
        }
        letters
    }

    /// Waits until nothing is under way any more.
    pub(crate) async fn settled(&self) {
        while !self.unsettled().await.is_empty() {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What is still under way: money that is to be moved, and events that one who is concerned has not handled.
    pub(crate) async fn unsettled(&self) -> Vec<String> {
        let due = self.payments().await.into_iter();
        let due = due.filter(|payment| ["pending", "refunding"].contains(&payment.state.as_str()));
        let mut unsettled: Vec<String> = due.map(|payment| format!("{payment:?}")).collect();
        let told = self.told().await;
        for (service, heard) in SUBSCRIPTIONS {
            let handled = self.handled(*service).await;
            let concerns = |told: &&Told| heard.iter().any(|event| event.name() == told.event_type);
            let missing = told.iter().filter(concerns).filter(|told| !handled.contains(&told.id));
            unsettled.extend(missing.map(|told| format!("{} waits for {told:?}", service.name())));
        }
        unsettled
    }

    async fn handled(&self, service: Peer) -> BTreeSet<String> {
        let handled: Vec<(String,)> = self.rows(service.name(), "SELECT id FROM inbox").await;
        handled.into_iter().map(|(id,)| id).collect()
    }
}

/// How often each order has each event.
pub(crate) fn ledger(told: &[Told]) -> BTreeMap<(&str, &str), usize> {
    let mut ledger = BTreeMap::new();
    for Told { event_key, event_type, .. } in told {
        *ledger.entry((event_key.as_str(), event_type.as_str())).or_default() += 1;
    }
    ledger
}
