//! Kills services and servers with SIGKILL, one after the other in an order by chance, and starts them again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use services_engines::{Engine, Shop, ShopError};

/// How long a service stays dead, and how long all then live, in milliseconds.
const DEAD: std::ops::Range<u64> = 0..500;
const ALIVE: std::ops::Range<u64> = 300..2000;

/// How long a server lives, in milliseconds; dead it is for as long as it takes to start.
const SERVED: std::ops::Range<u64> = 5000..10_000;

type Deaths = BTreeMap<&'static str, u32>;

pub(crate) struct Killer {
    shop: Shop,
    engines: BTreeMap<&'static str, Engine>,
    seed: u64,
    pub(crate) deaths: Deaths,
}

impl Killer {
    pub(crate) fn new(shop: Shop, engines: BTreeMap<&'static str, Engine>, seed: u64) -> Self {
        Self { shop, engines, seed, deaths: Deaths::new() }
    }

    pub(crate) fn engines(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.engines.keys().copied()
    }

    /// Kills until it is told to be calm; leaves with all of them up.
    pub(crate) fn rage(&mut self, calm: &AtomicBool) {
        let Self { shop, engines, seed, .. } = self;
        let mut seeds = ChaCha8Rng::seed_from_u64(*seed);
        // With servers that die as well, nothing would be up at once for long.
        let slow = if engines.is_empty() { 1 } else { 2 };
        self.deaths = std::thread::scope(|scope| {
            let mut servers = Vec::new();
            for (name, engine) in engines {
                let random = ChaCha8Rng::from_rng(&mut seeds);
                servers.push((*name, scope.spawn(move || kill_server(engine, random, calm))));
            }
            let mut deaths = kill_services(shop, ChaCha8Rng::from_rng(&mut seeds), slow, calm);
            for (name, server) in servers {
                deaths.insert(name, server.join().unwrap());
            }
            deaths
        });
        loop {
            revive(&mut self.shop);
            match self.shop.wait_until_ready() {
                Ok(()) => return,
                Err(ShopError::Ended { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// In rounds, in each of which every service dies once.
fn kill_services(shop: &mut Shop, mut random: ChaCha8Rng, slow: u64, calm: &AtomicBool) -> Deaths {
    let mut deaths = Deaths::new();
    let mut round = Vec::new();
    while !calm.load(Ordering::Relaxed) {
        if round.is_empty() {
            round.extend(Shop::services());
            round.shuffle(&mut random);
        }
        let Some(victim) = round.pop() else { break };
        revive(shop);
        shop.kill(victim);
        *deaths.entry(victim).or_default() += 1;
        sleep(Duration::from_millis(random.random_range(DEAD)));
        shop.open(victim).unwrap();
        sleep(Duration::from_millis(slow * random.random_range(ALIVE)));
    }
    deaths
}

/// A service ends when its store is away as it starts; whoever runs it starts it again.
fn revive(shop: &mut Shop) {
    while let Err(ended) = shop.all_live() {
        let ShopError::Ended { service, .. } = ended else { panic!("{ended}") };
        shop.kill(service);
        shop.open(service).unwrap();
    }
}

fn kill_server(engine: &mut Engine, mut random: ChaCha8Rng, calm: &AtomicBool) -> u32 {
    let mut deaths = 0;
    while !calm.load(Ordering::Relaxed) {
        sleep(Duration::from_millis(random.random_range(SERVED)));
        engine.kill();
        deaths += 1;
        engine.start().unwrap();
    }
    deaths
}
