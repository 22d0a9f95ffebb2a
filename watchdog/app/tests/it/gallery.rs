//! The gallery: of programs that leak the guilty function is named, and of those that only look like it nobody.

use serde_json::Value;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::support::{Exhibit, Watchdog, eventually, gallery};

/// Bytes a second. At this rate the limit is twenty seconds away: fast enough for a test, slow enough to be seen coming.
const RATE: u64 = 20_000_000;
const LIMIT: &str = "--limit=384MiB";

/// Of programs that do not leak: slower, so that what fills up takes long enough to look like a leak.
const INNOCENT_RATE: u64 = 8_000_000;

/// An innocent program is watched until it is so old, in seconds: several rounds of whatever it does.
const WATCHED: f64 = 25.0;
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(90);

/// Each is a program and a watchdog; more of them at a time than cores would make each slow.
static TURNS: Semaphore = Semaphore::const_new(2);

async fn turn() -> SemaphorePermit<'static> {
    TURNS.acquire().await.expect("never closed")
}

async fn watch(exhibit: &Exhibit) -> Watchdog {
    let pid = format!("--pid={}", exhibit.program.pid());
    Watchdog::start(&[&pid, "--name=exhibit", LIMIT, &exhibit.profiles]).await
}

/// Starts a program that leaks, and compares whom the watchdog names with the truth.
async fn names_the_culprits_of(name: &str) {
    let _turn = turn().await;
    let exhibit = Exhibit::start(name, RATE).await;
    assert_eq!(exhibit.truth["leaks"], true, "{}", exhibit.truth);
    let watchdog = watch(&exhibit).await;
    let culprits = exhibit.truth["culprits"].as_array().expect("a list");
    let incident = watchdog
        .incident("a leak with its functions", |incident| {
            !incident["told"].is_null() && named(incident).len() >= culprits.len()
        })
        .await;
    for (expected, frame) in culprits.iter().zip(named(&incident)) {
        assert!(is(frame, expected), "{name}: expected {expected}, named {frame}: {incident:#}");
    }
}

/// Starts a program that does not leak, and sees that nothing is told and nobody named.
async fn names_nobody_in(name: &str) {
    let _turn = turn().await;
    let exhibit = Exhibit::start(name, INNOCENT_RATE).await;
    assert_eq!(exhibit.truth["leaks"], false, "{}", exhibit.truth);
    let watchdog = watch(&exhibit).await;
    watchdog.has_baseline("exhibit").await;
    let target = eventually("it was watched for long enough", DEADLINE, async || {
        let target = watchdog.api("targets/exhibit").await;
        let age = target["sample"]["age"].as_f64().expect("an age");
        (age >= WATCHED).then_some(target)
    })
    .await;
    assert_eq!(target["up"], true, "{target:#}");
    let incidents = watchdog.api("incidents").await;
    for incident in incidents["incidents"].as_array().expect("a list") {
        assert!(incident["told"].is_null(), "{name}: {incident:#}");
        assert!(named(incident).is_empty(), "{name}: {incident:#}");
    }
}

/// The frames that an incident accuses, the first suspect first.
fn named(incident: &Value) -> Vec<&Value> {
    let suspects = incident["suspects"].as_array().expect("a list");
    let first = suspects.first().unwrap_or(&Value::Null);
    assert_eq!(*first, incident["culprit"], "the culprit is the first suspect: {incident:#}");
    suspects.iter().map(|suspect| &suspect["frame"]).collect()
}

fn is(frame: &Value, expected: &Value) -> bool {
    let part = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    part(&frame["function"]).contains(&part(&expected["function"]))
        && part(&frame["file"]).ends_with(&part(&expected["file"]))
}

/// A test for each program, and a list of them.
macro_rules! tests {
    ($check:ident: $list:ident { $($test:ident: $name:literal,)* }) => {
        const $list: &[&str] = &[$($name),*];
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                $check($name).await;
            }
        )*
    };
}

tests! { names_the_culprits_of: LEAKS {
    an_unbounded_cache_is_named: "unbounded-cache",
    a_forgotten_subscriber_is_named: "forgotten-subscriber",
    a_reference_cycle_is_named: "reference-cycle",
    a_label_explosion_is_named: "label-explosion",
    tasks_that_are_stuck_are_named: "stuck-tasks",
    a_generic_function_is_named: "generic",
    a_closure_is_named: "closure",
    an_async_task_is_named: "async-task",
    a_method_behind_a_trait_object_is_named: "trait-object",
    the_caller_of_a_library_is_named: "library",
    two_leaks_are_named_in_their_order: "two-leaks",
    a_map_in_go_is_named: "go-map-cache",
    goroutines_that_are_stuck_are_named: "go-goroutines",
    slices_that_hold_arrays_are_named: "go-slice-retention",
    a_function_in_c_is_named: "c-sessions",
} }

tests! { names_nobody_in: INNOCENTS {
    a_bounded_cache_is_innocent: "bounded-cache",
    a_warm_up_is_innocent: "warm-up",
    a_sawtooth_of_batches_is_innocent: "batch-sawtooth",
    churn_is_innocent: "churn",
    a_connection_pool_is_innocent: "connection-pool",
    the_page_cache_is_innocent: "page-cache",
    churn_in_go_is_innocent: "go-churn",
} }

#[test]
fn every_program_of_the_gallery_has_a_test() {
    let tested = |truth: &Value| {
        let list = if truth["leaks"] == true { LEAKS } else { INNOCENTS };
        list.iter().any(|name| truth["name"] == *name)
    };
    let untested: Vec<Value> = gallery().into_iter().filter(|truth| !tested(truth)).collect();
    assert!(untested.is_empty(), "{untested:#?}");
}
