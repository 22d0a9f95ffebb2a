//! What stores, buses and caches promise, on the embedded ones and on real servers that are killed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail the test")]

#[path = "conformance/cache.rs"]
mod cache;
#[path = "conformance/events.rs"]
mod events;
#[path = "conformance/stage.rs"]
mod stage;
#[path = "conformance/store.rs"]
mod store;
#[path = "conformance/violence.rs"]
mod violence;

use stage::Stage;

/// One test for each stage: a broker takes ten seconds to start.
async fn everything(stage: &mut Stage) {
    store::values_of_every_kind_come_back(stage).await;
    store::what_is_not_done_never_was(stage).await;
    store::what_follows_a_commit_is_done_once_and_after_it(stage).await;
    store::a_caller_who_goes_away_leaves_no_transaction_behind(stage).await;
    store::processes_that_start_at_once_migrate_once(stage).await;
    store::writers_of_one_row_wait_for_each_other(stage).await;
    store::a_conflict_is_told_from_a_mistake(stage).await;
    store::a_database_that_was_killed_is_used_again(stage).await;
    // First of those with a bus: the others leave things in queues that nobody of theirs reads.
    violence::nothing_is_lost_and_nothing_done_twice_while_everybody_dies(stage).await;
    events::an_event_has_its_effect_once_however_often_it_comes(stage).await;
    events::an_event_that_fails_is_tried_again(stage).await;
    events::what_is_no_event_is_a_dead_letter_and_stays_one(stage).await;
    events::a_dead_letter_is_driven_again_once_its_cause_is_mended(stage).await;
    events::what_kills_its_consumers_is_a_dead_letter_in_the_end(stage).await;
    events::an_event_that_nobody_hears_holds_nothing_up(stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_store_and_bus_keep_their_promises() {
    everything(&mut Stage::embedded()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_and_rabbitmq_keep_their_promises() {
    everything(&mut Stage::servers()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_in_the_process_keeps_its_promises() {
    cache::everything(&Stage::embedded()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_keeps_its_promises() {
    cache::everything(&Stage::redis()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_a_service_goes_on() {
    cache::nobody_notices_that_redis_is_away(Stage::redis()).await;
}
