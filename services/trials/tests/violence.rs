//! Consistency under violence: a thousand customers order at once while everything is killed with SIGKILL and started
//! again at random; then every unit, every cent and every event is accounted for.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may fail the test"
)]

#[path = "violence/balance.rs"]
mod balance;
#[path = "violence/customer.rs"]
mod customer;
#[path = "violence/killer.rs"]
mod killer;
#[path = "violence/stores.rs"]
mod stores;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use reqwest::Client;
use services_engines::{Engine, Shop};
use services_trials::visitor::{PATIENCE, Visitor};
use tempfile::TempDir;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::balance::Balance;
use crate::customer::{Customer, Met, Plan, Shelves};
use crate::killer::Killer;
use crate::stores::Stores;

/// Each has one order to place.
const CUSTOMERS: usize = 1000;

/// Requests under way at once: with more, two cores would spend the trial on time-outs.
const REQUESTS: usize = 100;

/// How long the killing goes on, unless all have ordered before. What is not ordered by then is ordered in peace.
const VIOLENCE: Duration = Duration::from_secs(30);

/// It goes on for longer on a machine so busy that not even so many have ordered.
const FEWEST: usize = CUSTOMERS / 10;
const LONGEST_VIOLENCE: Duration = Duration::from_secs(120);

/// How long a shop that is left in peace may take to end all that was begun.
const SETTLES: Duration = Duration::from_secs(90);

/// How many register at once, which costs a core each, and how many look at what they have.
const REGISTERING: usize = 4;
const LOOKING: usize = 32;

/// What both shops on the same servers sign identities with.
const KEY: (&str, &str) = ("SHOP_INTERNAL_KEY", "only for trials, and longer than 32 bytes");

/// One trial after the other: two would fight for the cores.
static TURN: Mutex<()> = Mutex::const_new(());

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_charged_twice_on_embedded_stores() {
    let _turn = TURN.lock().await;
    trial(1, BTreeMap::new(), &[]).await;
}

/// With two processes of every service: they share relays, queues, and what falls due.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_charged_twice_on_postgres_rabbitmq_and_redis() {
    let _turn = TURN.lock().await;
    let engines = tokio::task::spawn_blocking(|| {
        BTreeMap::from([
            ("postgres", Engine::postgres().unwrap()),
            ("rabbitmq", Engine::rabbitmq().unwrap()),
            ("redis", Engine::redis().unwrap()),
        ])
    });
    let engines = engines.await.unwrap();
    let urls: Vec<(&str, String)> =
        [("postgres", "DATABASE_URL"), ("rabbitmq", "AMQP_URL"), ("redis", "REDIS_URL")]
            .map(|(engine, variable)| (variable, engines[engine].url()))
            .into();
    trial(2, engines, &urls).await;
}

/// With so many shops over the same stores, each with a door of its own.
async fn trial(shops: usize, engines: BTreeMap<&'static str, Engine>, urls: &[(&str, String)]) {
    let seed = seed();
    eprintln!("OOMEN_TEST_SEED={seed} does the same again, as far as the machine does");
    rustls::crypto::ring::default_provider().install_default().ok();
    let mut environment = vec![("SHOP_CLIENT_RATE", "0"), ("SHOP_SIGN_IN_RATE", "0"), KEY];
    environment.extend(urls.iter().map(|(variable, url)| (*variable, url.as_str())));
    let open = || services_trials::open(&environment).map(|open| (open.shop, open.data)).unwrap();
    let open = || (0..shops).map(|_| open()).unzip();
    let (shops, data): (Vec<Shop>, Vec<TempDir>) = tokio::task::block_in_place(open);
    let postgres = engines.get("postgres").map(Engine::url);
    let stores = Stores::new(postgres, data[0].path());

    let began = Instant::now();
    let before = stores.stock().await;
    let http = Client::builder().timeout(PATIENCE).build().unwrap();
    let doors: Vec<_> = shops.iter().map(|shop| format!("http://{}", shop.door())).collect();
    let plans = plans(seed, &Shelves::of(&before));
    let customers = register(&http, &doors, plans).await;
    eprintln!("{CUSTOMERS} customers have registered in {:?}", began.elapsed());

    let killer = Killer::new(shops, engines, seed);
    let Ordered { killer, customers, under_violence } = order(killer, customers).await;
    eprintln!("deaths: {:?}", killer.deaths);

    let began = Instant::now();
    let again = repeat(customers).await;
    let settled = timeout(SETTLES, stores.settled()).await;
    eprintln!("all is settled in {:?}", began.elapsed());
    let mut wrong = match settled {
        Ok(()) => Vec::new(),
        Err(_) => stores.unsettled().await,
    };
    let balance = Balance::of(&stores, &before, &again).await;
    eprintln!("{}", balance.summary());
    wrong.extend(balance.wrong());
    for victim in Shop::services().chain(killer.engines()) {
        if !killer.deaths.contains_key(victim) {
            wrong.push(format!("{victim} was not killed"));
        }
    }
    if under_violence < FEWEST {
        wrong.push(format!("only {under_violence} orders were placed under violence"));
    }
    if !wrong.is_empty() {
        let kept: Vec<_> = data.into_iter().map(TempDir::keep).collect();
        panic!("seed {seed}; stores and logs are in {kept:?}\n{}", wrong.join("\n"));
    }
}

/// Given, or another each time.
fn seed() -> u64 {
    let given = std::env::var("OOMEN_TEST_SEED").ok();
    given.map_or_else(
        || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs(),
        |seed| seed.parse().expect("OOMEN_TEST_SEED is a number"),
    )
}

fn plans(seed: u64, shelves: &Shelves) -> Vec<Plan> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..CUSTOMERS).map(|_| Plan::new(shelves, &mut random)).collect()
}

/// Does something with all of them, a few at once, in their order.
async fn each<T, U, F>(all: Vec<T>, few: usize, does: impl Fn(T) -> F) -> Vec<U>
where
    U: Send + 'static,
    F: Future<Output = U> + Send + 'static,
{
    let turns = Arc::new(Semaphore::new(few));
    let mut tasks = JoinSet::new();
    for (place, one) in all.into_iter().enumerate() {
        let (turns, done) = (Arc::clone(&turns), does(one));
        tasks.spawn(async move {
            let _turn = turns.acquire_owned().await.unwrap();
            (place, done.await)
        });
    }
    let mut all = tasks.join_all().await;
    all.sort_by_key(|(place, _)| *place);
    all.into_iter().map(|(_, done)| done).collect()
}

async fn register(http: &Client, doors: &[String], plans: Vec<Plan>) -> Vec<Customer> {
    let numbered = plans.into_iter().enumerate().collect();
    let turns = Arc::new(Semaphore::new(REQUESTS));
    each(numbered, REGISTERING, |(number, plan)| {
        let door = doors[number % doors.len()].clone();
        let (http, turns) = (http.clone(), Arc::clone(&turns));
        async move {
            let email = format!("customer-{number}@example.org");
            Customer::new(
                Visitor::register(http, door, turns, &email)
                    .await
                    .unwrap_or_else(|refused| panic!("{refused}")),
                plan,
            )
        }
    })
    .await
}

/// How it went.
struct Ordered {
    killer: Killer,
    customers: Vec<(Customer, Met)>,
    /// How many were done before it ended.
    under_violence: usize,
}

/// All at once, each in a task of its own, while everything is killed; then those who are not done yet, in peace.
async fn order(mut killer: Killer, customers: Vec<Customer>) -> Ordered {
    let (calm, began) = (Arc::new(AtomicBool::new(false)), Instant::now());
    let until = Arc::clone(&calm);
    let killing = tokio::task::spawn_blocking(move || {
        killer.rage(&until);
        killer
    });
    let mut tasks = JoinSet::new();
    for mut customer in customers {
        tasks.spawn(async move {
            let met = customer.buys().await;
            (customer, met)
        });
    }
    let mut done = Vec::new();
    let many = async {
        while let Some(one) = tasks.join_next().await {
            done.push(one.unwrap());
            if done.len() >= FEWEST && began.elapsed() > VIOLENCE {
                break;
            }
        }
    };
    timeout(LONGEST_VIOLENCE, many).await.ok();
    calm.store(true, Ordering::Relaxed);
    let under_violence = done.len();
    let killer = killing.await.unwrap();
    eprintln!("{under_violence} orders under violence in {:?}", began.elapsed());
    done.extend(tasks.join_all().await);
    eprintln!("all orders in {:?}", began.elapsed());
    Ordered { killer, customers: done, under_violence }
}

/// Who has an order sends the same request again, and then looks at what they have.
async fn repeat(customers: Vec<(Customer, Met)>) -> Vec<(Customer, Met)> {
    each(customers, LOOKING, |(mut customer, met)| async move {
        customer.repeats(&met).await;
        (customer, met)
    })
    .await
}
