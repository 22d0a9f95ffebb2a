//! The cache in Redis.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands as _, Client, RedisError, Script};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::OnceCell;

/// A cache that takes longer than this is no help.
const ANSWER: Duration = Duration::from_millis(500);

/// Connections are tried again at the latest after this.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// In one step, so that a counter cannot be left without an end.
const COUNT: &str = "local n = redis.call('INCR', KEYS[1])
if n == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return n";

/// Why Redis did not answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct SharedError(#[from] RedisError);

/// `REDIS_URL` is no address.
#[derive(Debug, thiserror::Error)]
#[error("REDIS_URL is not an address such as redis://:password@host:6379/0")]
pub(super) struct AddressError;

#[derive(Clone)]
pub(super) struct Shared(Arc<Inner>);

struct Inner {
    prefix: &'static str,
    client: Client,
    /// Made by the first who needs it.
    connection: OnceCell<ConnectionManager>,
    count: Script,
}

impl Shared {
    pub(super) fn new(prefix: &'static str, url: &SecretString) -> Result<Self, AddressError> {
        // What Redis says of an address may repeat its password.
        let client = Client::open(url.expose_secret()).map_err(|_| AddressError)?;
        let count = Script::new(COUNT);
        Ok(Self(Arc::new(Inner { prefix, client, connection: OnceCell::new(), count })))
    }

    async fn connection(&self) -> Result<ConnectionManager, SharedError> {
        let connect = || {
            let config = ConnectionManagerConfig::new()
                .set_response_timeout(Some(ANSWER))
                .set_connection_timeout(Some(ANSWER))
                .set_number_of_retries(1)
                .set_max_delay(LONGEST_PAUSE);
            ConnectionManager::new_with_config(self.0.client.clone(), config)
        };
        Ok(self.0.connection.get_or_try_init(connect).await?.clone())
    }

    fn key(&self, key: &str) -> String {
        format!("{}:{key}", self.0.prefix)
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<Bytes>, SharedError> {
        let value: Option<Vec<u8>> = self.connection().await?.get(self.key(key)).await?;
        Ok(value.map(Bytes::from))
    }

    pub(super) async fn set(
        &self,
        key: &str,
        value: &[u8],
        ttl: Duration,
    ) -> Result<(), SharedError> {
        Ok(self.connection().await?.pset_ex(self.key(key), value, milliseconds(ttl)).await?)
    }

    pub(super) async fn delete(&self, key: &str) -> Result<(), SharedError> {
        Ok(self.connection().await?.del(self.key(key)).await?)
    }

    pub(super) async fn count(&self, key: &str, ttl: Duration) -> Result<u64, SharedError> {
        let mut connection = self.connection().await?;
        let mut call = self.0.count.key(self.key(key));
        Ok(call.arg(milliseconds(ttl)).invoke_async(&mut connection).await?)
    }
}

/// Redis takes no time of zero.
fn milliseconds(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1)
}
