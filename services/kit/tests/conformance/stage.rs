//! Where a scenario plays: in files, or on servers that it may kill.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use lapin::options::{BasicConsumeOptions, BasicNackOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use services_engines::Engine;
use services_kit::store::{Database, Migration, StoreOptions};
use services_kit::{Kit, Options, Peer};
use tempfile::TempDir;

/// Long enough for a broker that starts on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Stage {
    data: TempDir,
    pub(crate) postgres: Option<Engine>,
    pub(crate) rabbitmq: Option<Engine>,
    pub(crate) redis: Option<Engine>,
    scenarios: u32,
}

impl Stage {
    pub(crate) fn embedded() -> Self {
        let data = tempfile::tempdir().unwrap();
        Self { data, postgres: None, rabbitmq: None, redis: None, scenarios: 0 }
    }

    pub(crate) fn servers() -> Self {
        let (postgres, rabbitmq) = (Engine::postgres().unwrap(), Engine::rabbitmq().unwrap());
        Self { postgres: Some(postgres), rabbitmq: Some(rabbitmq), ..Self::embedded() }
    }

    pub(crate) fn redis() -> Self {
        Self { redis: Some(Engine::redis().unwrap()), ..Self::embedded() }
    }

    /// Stores that nobody has used; a broker's queues stay, and those that a scenario reads are empty when it ends.
    pub(crate) async fn anew(&mut self) {
        use sqlx::Connection as _;

        self.scenarios += 1;
        let Some(postgres) = &self.postgres else {
            self.data = tempfile::tempdir().unwrap();
            return;
        };
        sqlx::any::install_default_drivers();
        let mut connection = sqlx::AnyConnection::connect(&postgres.url()).await.unwrap();
        let name = sqlx::AssertSqlSafe(format!("CREATE DATABASE {}", self.database()));
        sqlx::query(name).execute(&mut connection).await.unwrap();
    }

    fn database(&self) -> String {
        format!("scenario{}", self.scenarios)
    }

    fn database_url(&self) -> Option<String> {
        let url = self.postgres.as_ref()?.url();
        Some(format!("{}/{}", url.rsplit_once('/').unwrap().0, self.database()))
    }

    pub(crate) fn kit(&self, service: Peer) -> Kit {
        let url = |engine: &Option<Engine>| engine.as_ref().map(|engine| engine.url().into());
        let options = Options {
            data: Some(self.data.path().to_owned()),
            database_url: self.database_url().map(Into::into),
            amqp_url: url(&self.rabbitmq),
            redis_url: url(&self.redis),
            ..Options::on_free_ports().unwrap()
        };
        Kit::new(service, options).unwrap()
    }

    pub(crate) async fn store(&self, name: &'static str, migrations: &[Migration]) -> Database {
        let url = self.database_url().map(Into::into);
        let options = StoreOptions { data: self.data.path().to_owned(), url, migrations };
        Database::open(name, &options).await.unwrap()
    }

    /// Lets the only message of a queue be delivered so often, without anybody being done with it.
    pub(crate) async fn deliver_in_vain(&self, queue: &str, times: i64) {
        let Some(rabbitmq) = &self.rabbitmq else {
            use sqlx::Connection as _;

            let file = format!("sqlite://{}", self.data.path().join("bus.db").display());
            let mut bus = sqlx::AnyConnection::connect(&file).await.unwrap();
            let count = sqlx::query("UPDATE messages SET deliveries = $1 WHERE queue = $2");
            let counted = count.bind(times).bind(queue).execute(&mut bus).await.unwrap();
            assert_eq!(counted.rows_affected(), 1);
            return;
        };
        let (url, properties) = (rabbitmq.url(), ConnectionProperties::default());
        let connection = Connection::connect(&url, properties).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.basic_qos(1, BasicQosOptions::default()).await.unwrap();
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        let queue = format!("shop.{queue}");
        let consumer = channel.basic_consume(queue.into(), "".into(), options, none).await;
        let mut consumer = consumer.unwrap();
        for _ in 0..times {
            let delivery = consumer.next().await.unwrap().unwrap();
            let back = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
            delivery.acker.nack(back).await.unwrap();
        }
        connection.close(200, "done".into()).await.unwrap();
    }

    /// The example `ledger` as a process that can be killed.
    pub(crate) fn ledger(&self, pause: Duration) -> Killed {
        let test = std::env::current_exe().unwrap();
        let program: PathBuf = test.parent().unwrap().parent().unwrap().join("examples/ledger");
        assert!(program.exists(), "build it first: cargo build -p services-kit --example ledger");
        let mut command = Command::new(program);
        command.arg(pause.as_millis().to_string()).env("SHOP_DATA", self.data.path());
        if let (Some(database), Some(rabbitmq)) = (self.database_url(), &self.rabbitmq) {
            command.env("DATABASE_URL", database).env("AMQP_URL", rabbitmq.url());
        }
        Killed(command.stdin(Stdio::null()).spawn().unwrap())
    }
}

/// A process that gets SIGKILL when it is dropped.
pub(crate) struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Waits until something holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// One number that a query tells; none while the store is away.
pub(crate) async fn number(store: &Database, sql: &'static str) -> Option<i64> {
    sqlx::query_scalar(sql).fetch_one(store.pool()).await.ok()
}
