//! What may be forgotten at any time: Redis when `REDIS_URL` says so, else memory of this process.
//!
//! Nobody but operators learns that Redis is away: reads find nothing, writes do nothing, counters count in this
//! process, and `shop_cache_errors_total` rises.

mod local;
mod shared;

use std::time::Duration;

use axum::body::Bytes;
use prometheus::IntCounter;

use self::local::Local;
use self::shared::{Shared, SharedError};
use crate::Kit;

/// A cache. Clones are the same.
#[derive(Clone)]
pub struct Cache {
    /// Used instead of Redis, and for counters while Redis is away.
    local: Local,
    shared: Option<Shared>,
    errors: IntCounter,
}

impl Cache {
    /// The cache of a service, as its configuration says. Redis need not be there yet. Services do not see each
    /// other's keys.
    ///
    /// # Errors
    /// When `REDIS_URL` is malformed.
    pub fn of(kit: &Kit) -> anyhow::Result<Self> {
        let errors = crate::catalogue::events::CACHE_ERRORS.plain_counter(kit.registry())?;
        let shared = match &kit.options().redis_url {
            Some(url) => Some(Shared::new(kit.service().name(), url)?),
            None => None,
        };
        Ok(Self { local: Local::new(), shared, errors })
    }

    /// What is kept under a key; None as well while Redis is away.
    pub async fn get(&self, key: &str) -> Option<Bytes> {
        match &self.shared {
            Some(shared) => self.or(shared.get(key).await, None),
            None => self.local.get(key).await,
        }
    }

    /// Keeps a value for a time.
    pub async fn set(&self, key: &str, value: impl Into<Bytes>, ttl: Duration) {
        let value = value.into();
        match &self.shared {
            Some(shared) => self.or(shared.set(key, &value, ttl).await, ()),
            None => self.local.set(key, value, ttl).await,
        }
    }

    /// Forgets a key.
    pub async fn delete(&self, key: &str) {
        match &self.shared {
            Some(shared) => self.or(shared.delete(key).await, ()),
            None => self.local.delete(key).await,
        }
    }

    /// Counts one more; how many there are since the first, which is forgotten after `ttl`. For rate limits: while
    /// Redis is away, each process counts its own.
    pub async fn count(&self, key: &str, ttl: Duration) -> u64 {
        if let Some(shared) = &self.shared {
            match shared.count(key, ttl).await {
                Ok(count) => return count,
                Err(error) => self.failed(&error),
            }
        }
        self.local.count(key, ttl).await
    }

    fn or<T>(&self, outcome: Result<T, SharedError>, instead: T) -> T {
        outcome.unwrap_or_else(|error| {
            self.failed(&error);
            instead
        })
    }

    fn failed(&self, error: &SharedError) {
        self.errors.inc();
        tracing::debug!(%error, "the cache does not answer");
    }
}
