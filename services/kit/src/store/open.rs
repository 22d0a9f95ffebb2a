//! Opens a store: connections as each database needs them, then the schema.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::{MigrationType, Migrator};
use sqlx::pool::PoolConnectionMetadata;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _, SqlSafeStr as _};
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use url::Url;

use super::{Database, Dialect, Migration, StoreError};

/// Seven services of ten stay below the hundred that Postgres takes unless told otherwise.
const CONNECTIONS: u32 = 10;

/// How long a request waits for a connection; short of its own deadline of 10 s.
const ACQUIRE: Duration = Duration::from_secs(5);

/// How long a store is waited for that does not answer at the start, and how long until it is asked again.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_secs(1);

/// A connection that was used this recently is taken to be alive: asking would double the work of a small statement.
const FRESH: Duration = Duration::from_secs(1);

/// Where a store is and what is in it.
#[derive(Clone, Debug)]
pub struct StoreOptions<'a> {
    /// The directory of the SQLite file; not looked at when there is an address.
    pub data: PathBuf,
    /// Postgres' address.
    pub url: Option<SecretString>,
    /// The schema, step by step.
    pub migrations: &'a [Migration],
}

impl Database {
    /// Opens the store `name`: the file `name.db`, or the schema `name` in Postgres. Makes what is missing and brings
    /// the schema up to date. A store that does not answer yet is waited for.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it cannot be reached for half a minute; [`StoreError::Bug`] when the address or a
    /// migration is wrong, or the schema is newer than this program.
    pub async fn open(name: &'static str, options: &StoreOptions<'_>) -> Result<Self, StoreError> {
        patiently(name, || Self::open_now(name, options)).await
    }

    async fn open_now(name: &'static str, options: &StoreOptions<'_>) -> Result<Self, StoreError> {
        let database = match &options.url {
            Some(url) => postgres(name, url).await?,
            None => sqlite(name, &options.data.join(format!("{name}.db"))).await?,
        };
        let kit = [crate::outbox::migration(database.dialect), crate::inbox::MIGRATION];
        database.migrate(kit.iter().chain(options.migrations)).await?;
        Ok(database)
    }

    /// Opens a SQLite file that several processes share.
    pub(crate) async fn open_shared(
        name: &'static str,
        data: &Path,
        migrations: &[Migration],
    ) -> Result<Self, StoreError> {
        // The migrator takes no lock on SQLite, and what makes the file a write-ahead one waits for none.
        let alone = alone(data.join(format!("{name}.lock"))).await?;
        let database = patiently(name, || async {
            let database = sqlite(name, &data.join(format!("{name}.db"))).await?;
            database.migrate(migrations.iter()).await?;
            Ok(database)
        });
        let database = database.await?;
        drop(alone);
        Ok(database)
    }

    async fn migrate(
        &self,
        migrations: impl Iterator<Item = &Migration>,
    ) -> Result<(), StoreError> {
        let steps = migrations.map(|step| {
            let sql = AssertSqlSafe(step.sql).into_sql_str();
            sqlx::migrate::Migration::new(
                step.version,
                step.name.into(),
                MigrationType::Simple,
                sql,
                false,
            )
        });
        let migrator = Migrator::with_migrations(steps.collect());
        migrator.run(&self.pool).await.map_err(|error| sqlx::Error::from(error).into())
    }
}

/// Opens, again and again while nobody answers: a database may start at the same time as its service, and a disk may
/// be busy.
async fn patiently<F>(name: &str, open: impl Fn() -> F) -> Result<Database, StoreError>
where
    F: Future<Output = Result<Database, StoreError>>,
{
    let until = Instant::now() + PATIENCE;
    loop {
        match open().await {
            Err(StoreError::Unavailable(error)) if Instant::now() < until => {
                tracing::warn!(store = name, error, "the store does not answer yet");
                tokio::time::sleep(PAUSE).await;
            }
            opened => return opened,
        }
    }
}

/// The file's lock, among all processes; it ends when this is dropped, or with the process.
async fn alone(path: PathBuf) -> Result<File, sqlx::Error> {
    let locked = tokio::task::spawn_blocking(move || {
        let file = File::options().create(true).truncate(false).write(true).open(path)?;
        file.lock().map(|()| file)
    });
    locked.await.map_err(std::io::Error::from)?.map_err(sqlx::Error::Io)
}

fn drivers() {
    static ONCE: Once = Once::new();
    ONCE.call_once(sqlx::any::install_default_drivers);
}

async fn sqlite(name: &'static str, path: &Path) -> Result<Database, StoreError> {
    let absolute = std::path::absolute(path).map_err(sqlx::Error::Io)?;
    let unusable = || sqlx::Error::Configuration(format!("no path: {}", path.display()).into());
    let file = Url::from_file_path(absolute).map_err(|()| unusable())?;
    let url = format!("sqlite://{}?mode=rwc", file.path());
    let pool = pool(|connection| Box::pin(prepare_sqlite(connection)));
    let pool = pool.connect_with(url.parse()?).await?;
    let writer = Some(Arc::new(Semaphore::new(1)));
    let (dialect, outbox) = (Dialect::Sqlite, Arc::new(Notify::new()));
    Ok(Database { name, dialect, pool, writer, outbox })
}

/// A commit is in the kernel's hands when it returns (`synchronous = NORMAL` with a write-ahead log), so that it
/// outlives the death of the process. After a loss of power the file is whole, but the last commits may be missing;
/// who needs those takes Postgres. FULL would wait for the disk at every commit.
async fn prepare_sqlite(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    connection
        .execute(
            "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
             PRAGMA foreign_keys = ON",
        )
        .await?;
    Ok(())
}

async fn postgres(name: &'static str, url: &SecretString) -> Result<Database, StoreError> {
    if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
        return Err(sqlx::Error::Configuration(format!("no schema's name: {name}").into()).into());
    }
    drivers();
    let options: AnyConnectOptions = url.expose_secret().parse()?;
    let mut first = AnyConnection::connect_with(&options).await?;
    make_schema(&mut first, name).await?;
    first.close().await?;
    let pool = pool(move |connection| Box::pin(prepare_postgres(connection, name)));
    let pool = pool.connect_with(options).await?;
    let (dialect, outbox) = (Dialect::Postgres, Arc::new(Notify::new()));
    Ok(Database { name, dialect, pool, writer: None, outbox })
}

/// Under a lock: two processes that make the same schema at the same time would trip over each other.
async fn make_schema(connection: &mut AnyConnection, name: &str) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    transaction.execute("SELECT pg_advisory_xact_lock(hashtext('shop schemas'))").await?;
    let schema = format!("CREATE SCHEMA IF NOT EXISTS {name}");
    transaction.execute(AssertSqlSafe(schema)).await?;
    transaction.commit().await
}

/// A process that is stopped in the middle of a transaction does not hold its locks for ever.
async fn prepare_postgres(
    connection: &mut AnyConnection,
    schema: &'static str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "SELECT set_config('search_path', $1, false), set_config('lock_timeout', '5s', false),
         set_config('idle_in_transaction_session_timeout', '30s', false)",
    )
    .bind(schema)
    .execute(connection)
    .await?;
    Ok(())
}

fn pool<F>(prepare: F) -> AnyPoolOptions
where
    F: for<'c> Fn(
            &'c mut AnyConnection,
        ) -> futures_util::future::BoxFuture<'c, Result<(), sqlx::Error>>
        + Send
        + Sync
        + 'static,
{
    drivers();
    AnyPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(ACQUIRE)
        .test_before_acquire(false)
        .before_acquire(|connection, seen| Box::pin(is_alive(connection, seen)))
        .after_connect(move |connection, _| prepare(connection))
}

async fn is_alive(
    connection: &mut AnyConnection,
    seen: PoolConnectionMetadata,
) -> Result<bool, sqlx::Error> {
    Ok(seen.idle_for < FRESH || connection.ping().await.is_ok())
}
