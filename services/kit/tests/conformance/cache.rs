//! The cache: in the process and in Redis.

use std::time::Duration;

use services_kit::Peer;
use services_kit::cache::Cache;

use crate::stage::{Stage, until};

const MINUTE: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(300);

pub(crate) async fn everything(stage: &Stage) {
    let cache = &Cache::of(&stage.kit(Peer::Gateway)).unwrap();
    assert_eq!(cache.get("a").await, None);
    cache.set("a", "1", MINUTE).await;
    assert_eq!(cache.get("a").await.as_deref(), Some(&b"1"[..]));
    cache.delete("a").await;
    assert_eq!(cache.get("a").await, None);

    cache.set("c", "1", SHORT).await;
    until("what is old is forgotten", || async { cache.get("c").await.is_none() }).await;
    let started = std::time::Instant::now();
    for expected in 1..=3 {
        assert_eq!(cache.count("d", SHORT).await, expected);
    }
    // Counting does not make it live longer.
    until("a counter begins anew", || async { cache.count("d", SHORT).await == 1 }).await;
    assert!(started.elapsed() >= SHORT);

    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let cache = cache.clone();
        tasks.spawn(async move { cache.count("e", MINUTE).await });
    }
    let mut counts = tasks.join_all().await;
    counts.sort_unstable();
    assert_eq!(counts, (1..=50).collect::<Vec<u64>>());
}

pub(crate) async fn nobody_notices_that_redis_is_away(mut stage: Stage) {
    let kit = stage.kit(Peer::Gateway);
    let cache = &Cache::of(&kit).unwrap();
    cache.set("a", "1", MINUTE).await;
    assert_eq!(cache.get("a").await.as_deref(), Some(&b"1"[..]));
    stage.redis.as_mut().unwrap().kill();
    let started = std::time::Instant::now();
    assert_eq!(cache.get("a").await, None);
    cache.set("a", "2", MINUTE).await;
    cache.delete("a").await;
    assert_eq!((cache.count("b", MINUTE).await, cache.count("b", MINUTE).await), (1, 2));
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    let text = prometheus::TextEncoder::new().encode_to_string(&kit.registry().gather()).unwrap();
    assert!(text.contains("shop_cache_errors_total 5"), "{text}");
    stage.redis.as_mut().unwrap().start().unwrap();
    until("Redis is used again", || async {
        cache.set("a", "3", MINUTE).await;
        cache.get("a").await.as_deref() == Some(b"3")
    })
    .await;
}
