//! The cache in this process: bounded, each entry with its own time to live.

use std::time::{Duration, Instant};

use axum::body::Bytes;
use moka::Expiry;
use moka::future::Cache;
use moka::ops::compute::Op;

/// Bytes of keys and values, roughly. Sessions and answers of a small shop fit; what does not makes room.
const MOST_BYTES: u64 = 32 << 20;

/// What an entry takes beside its key and value.
const ENTRY: usize = 128;

#[derive(Clone)]
struct Entry {
    value: Bytes,
    ttl: Duration,
}

#[derive(Clone)]
pub(super) struct Local(Cache<String, Entry>);

struct Own;

impl Expiry<String, Entry> for Own {
    fn expire_after_create(&self, _: &String, entry: &Entry, _: Instant) -> Option<Duration> {
        Some(entry.ttl)
    }

    fn expire_after_update(
        &self,
        _: &String,
        entry: &Entry,
        _: Instant,
        left: Option<Duration>,
    ) -> Option<Duration> {
        // A counter keeps the time of its first count.
        if entry.ttl.is_zero() { left } else { Some(entry.ttl) }
    }
}

impl Local {
    pub(super) fn new() -> Self {
        let weight = |key: &String, entry: &Entry| {
            u32::try_from(key.len() + entry.value.len() + ENTRY).unwrap_or(u32::MAX)
        };
        Self(Cache::builder().max_capacity(MOST_BYTES).weigher(weight).expire_after(Own).build())
    }

    pub(super) async fn get(&self, key: &str) -> Option<Bytes> {
        self.0.get(key).await.map(|entry| entry.value)
    }

    pub(super) async fn set(&self, key: &str, value: Bytes, ttl: Duration) {
        self.0.insert(key.to_owned(), Entry { value, ttl }).await;
    }

    pub(super) async fn delete(&self, key: &str) {
        self.0.invalidate(key).await;
    }

    pub(super) async fn count(&self, key: &str, ttl: Duration) -> u64 {
        let mut count = 1;
        let entry = self.0.entry_by_ref(key);
        entry
            .and_compute_with(|present| {
                let before = present.map(|entry| entry.into_value().value);
                let before =
                    before.and_then(|value| str::from_utf8(&value).ok()?.parse::<u64>().ok());
                count = before.unwrap_or(0).saturating_add(1);
                let ttl = if before.is_some() { Duration::ZERO } else { ttl };
                std::future::ready(Op::Put(Entry { value: count.to_string().into(), ttl }))
            })
            .await;
        count
    }
}
