//! Faults in the shop as it is shipped, at work and with one watchdog beside all of it: each leak is told as what it is
//! before the limit, what only looks like a leak is told to nobody, and nobody injects anything who may not.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail the test")]

#[path = "faults/customer.rs"]
mod customer;
#[path = "faults/scene.rs"]
mod scene;
#[path = "faults/watchdog.rs"]
mod watchdog;

use std::time::{Duration, SystemTime};

use reqwest::{Method, StatusCode};
use serde_json::Value;
use services_engines::fault::{Fault, LEAKS};
use services_kit::identity::IDENTITY;
use services_kit::{Kit, Options, Peer};
use tokio::time::{Instant, interval};

use customer::Customer;
use scene::Scene;
use watchdog::Watchdog;

const MIB: u64 = 1 << 20;

/// Of each service, in the watchdog's configuration; nothing enforces it.
const LIMIT: u64 = 256 * MIB;
/// Of each leak, in bytes per second: the limit is forty seconds away.
const LEAKING: u64 = 6 * MIB;
/// Of each look-alike: 32 MiB are filled in eight seconds, and the limit would be reached within the minute.
const PRETENDING: u64 = 4 * MIB;
/// How long look-alikes are watched: two days of the daily load, four teeth of the sawtooth.
const WATCHED: Duration = Duration::from_secs(34);
/// How long memory is looked at that should not grow.
const QUIET: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(100);

/// A fault that only looks like a leak.
struct LookAlike {
    service: &'static str,
    fault: &'static str,
    /// Bytes that it must come to hold in the allocator, and those that it must never hold.
    holds: (u64, u64),
    /// Whether it lets go of nearly all of it again and again.
    lets_go: bool,
}

const LOOK_ALIKES: [LookAlike; 4] = [
    in_memory("notifications", "bounded-cache", false),
    in_memory("orders", "diurnal-load", true),
    in_memory("payments", "batch-sawtooth", true),
    LookAlike { service: "users", fault: "page-cache", holds: (0, 4 * MIB), lets_go: false },
];

const fn in_memory(service: &'static str, fault: &'static str, lets_go: bool) -> LookAlike {
    LookAlike { service, fault, holds: (28 * MIB, 36 * MIB), lets_go }
}

#[tokio::test(flavor = "multi_thread")]
async fn seven_leaks_at_once_are_each_told_as_what_they_are_before_the_limit_and_stop_when_told() {
    let scene = Scene::open(&[("SHOP_FAULTS", "on")]);
    let watchdog = Watchdog::beside(&scene, LIMIT).await;
    let customer = Customer::arrive(scene.shop().door()).await;
    let before: Vec<u64> = LEAKS.iter().map(|leak| scene.resident(leak.service)).collect();
    for leak in &LEAKS {
        scene.inject(leak.service, leak.name, LEAKING).await;
    }
    let (began, mut looks) = (Instant::now(), interval(LOOK));
    let mut untold: Vec<&Fault> = LEAKS.iter().collect();
    while !untold.is_empty() {
        looks.tick().await;
        let incidents = watchdog.incidents().await;
        untold.retain(|leak| {
            let told = is_told(leak, &incidents);
            if told {
                println!("{:.1} s: {} is told", began.elapsed().as_secs_f64(), leak.name);
            }
            let used = scene.resident(leak.service);
            let late = format!("{} untold with {used} in use: {incidents:#?}", leak.name);
            assert!(used < LIMIT, "{late}");
            !told
        });
    }
    let mut stopped = Vec::new();
    for (leak, before) in LEAKS.iter().zip(before) {
        scene.stop(leak.service, leak.name).await;
        let grown = scene.resident(leak.service);
        let pace = (grown - before) as f64 / began.elapsed().as_secs_f64() / LEAKING as f64;
        assert!((0.8..1.2).contains(&pace), "{} was {pace} times as fast", leak.name);
        stopped.push(grown);
    }
    assert_still(&scene, &stopped).await;
    customer.leave().await;
}

/// Whether people were told of this leak with all there is to tell; fails when they were told of another.
fn is_told(leak: &Fault, incidents: &[Value]) -> bool {
    let ours = |incident: &&Value| incident["target"]["name"] == leak.service;
    let Some(incident) = incidents.iter().filter(ours).find(|incident| !incident["told"].is_null())
    else {
        return false;
    };
    assert_eq!(incident["verdict"]["kind"].as_str(), leak.verdict, "{}: {incident:#}", leak.name);
    let pace = incident["trend"]["slope"].as_f64().unwrap() / LEAKING as f64;
    assert!((0.8..1.2).contains(&pace), "{}, {pace} times as fast: {incident:#}", leak.name);
    let named = incident["culprit"]["frame"]["function"].as_str();
    if named.is_none() && leak.culprit.is_some() {
        return false;
    }
    assert!(leak.is_blamed_on(named), "{}: {incident:#}", leak.name);
    // Mapped memory is in no heap profile.
    assert!(named.is_none() || leak.verdict != Some("off-heap"), "{}: {incident:#}", leak.name);
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn look_alikes_hold_no_more_than_they_say_and_are_told_to_nobody() {
    let scene = Scene::open(&[("SHOP_FAULTS", "on")]);
    let watchdog = Watchdog::beside(&scene, LIMIT).await;
    let customer = Customer::arrive(scene.shop().door()).await;
    let mut held = Vec::new();
    for one in &LOOK_ALIKES {
        held.push(Held { before: scene.allocated(one.service).await, most: 0, after: 0 });
        scene.inject(one.service, one.fault, PRETENDING).await;
    }
    let (began, written) = (Instant::now(), scene.written("users"));
    let mut looks = interval(LOOK);
    while began.elapsed() < WATCHED {
        looks.tick().await;
        for (one, held) in LOOK_ALIKES.iter().zip(&mut held) {
            held.look(scene.allocated(one.service).await);
            assert!(held.most <= one.holds.1, "{} holds {}", one.fault, held.most);
        }
        for incident in watchdog.incidents().await {
            assert!(incident["told"].is_null() && incident["culprit"].is_null(), "{incident:#}");
        }
    }
    for (one, held) in LOOK_ALIKES.iter().zip(&held) {
        assert!(held.most >= one.holds.0, "{} held {} at most", one.fault, held.most);
        let let_go = held.after < 4 * MIB;
        assert_eq!(let_go, one.lets_go || one.holds.0 == 0, "{} then {}", one.fault, held.after);
    }
    let pace = (scene.written("users") - written) as f64 / began.elapsed().as_secs_f64();
    assert!((0.8..1.2).contains(&(pace / PRETENDING as f64)), "{pace} bytes a second are written");
    customer.leave().await;
}

/// What a look-alike has in the allocator beyond what was there before it, in bytes.
struct Held {
    before: u64,
    most: u64,
    /// The least since the most.
    after: u64,
}

impl Held {
    fn look(&mut self, allocated: u64) {
        let held = allocated.saturating_sub(self.before);
        if held > self.most {
            (self.most, self.after) = (held, held);
        }
        self.after = self.after.min(held);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_grows_and_every_order_to_a_fault_is_refused_unless_faults_are_on() {
    let scene = Scene::open(&[]);
    let before: Vec<u64> = LEAKS.iter().map(|leak| scene.resident(leak.service)).collect();
    for leak in &LEAKS {
        let url = format!("http://{}/debug/faults/{}", scene.admin(leak.service), leak.name);
        for method in [Method::PUT, Method::DELETE] {
            let answer = scene.order(method.clone(), &url, LEAKING).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{method} {url}");
        }
        assert_idle(&scene.faults(leak.service).await, false);
    }
    assert_still(&scene, &before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_public_port_knows_a_fault_even_when_a_service_of_the_shop_asks() {
    let scene = Scene::open(&[("SHOP_FAULTS", "on")]);
    let keys = Kit::new(Peer::Gateway, options(&scene)).unwrap().keys().clone();
    let identity = keys.sign(Peer::Gateway, None, SystemTime::now()).unwrap();
    for leak in &LEAKS {
        let url = format!("http://{}/debug/faults/{}", scene.public(leak.service), leak.name);
        let order = scene.order(Method::PUT, &url, LEAKING).header(IDENTITY, identity.clone());
        assert_eq!(order.send().await.unwrap().status(), StatusCode::NOT_FOUND, "{url}");
        assert_idle(&scene.faults(leak.service).await, true);
    }
}

/// That a service has one fault and the look-alikes, and none of them at work.
fn assert_idle(listing: &Value, enabled: bool) {
    assert_eq!(listing["enabled"], enabled, "{listing:#}");
    let faults = listing["faults"].as_array().unwrap();
    assert_eq!(faults.len(), 1 + LOOK_ALIKES.len(), "{listing:#}");
    assert!(faults.iter().all(|fault| fault["bytes_per_second"] == 0), "{listing:#}");
}

/// That for a while no service grows by a quarter of what its fault would take.
async fn assert_still(scene: &Scene, before: &[u64]) {
    let (until, mut looks) = (Instant::now() + QUIET, interval(LOOK));
    while Instant::now() < until {
        looks.tick().await;
        for (leak, before) in LEAKS.iter().zip(before) {
            let grown = scene.resident(leak.service).saturating_sub(*before);
            assert!(grown < LEAKING / 2, "{} grew by {grown}", leak.service);
        }
    }
}

/// Of a service of this shop: they share the key.
fn options(scene: &Scene) -> Options {
    Options { data: Some(scene.data().to_owned()), ..Options::on_free_ports().unwrap() }
}
