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
    /// Each with a process of every service.
    shops: Vec<Shop>,
    engines: BTreeMap<&'static str, Engine>,
    seed: u64,
    pub(crate) deaths: Deaths,
}

impl Killer {
    pub(crate) fn new(
        shops: Vec<Shop>,
        engines: BTreeMap<&'static str, Engine>,
        seed: u64,
    ) -> Self {
        Self { shops, engines, seed, deaths: Deaths::new() }
    }

    pub(crate) fn engines(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.engines.keys().copied()
    }

    /// Kills until it is told to be calm and each has died once; leaves with all of them up.
    pub(crate) fn rage(&mut self, calm: &AtomicBool) {
        let Self { shops, engines, seed, .. } = self;
        let mut seeds = ChaCha8Rng::seed_from_u64(*seed);
        self.deaths = std::thread::scope(|scope| {
            let mut servers = Vec::new();
            for (name, engine) in engines {
                let random = ChaCha8Rng::from_rng(&mut seeds);
                servers.push((*name, scope.spawn(move || kill_server(engine, random, calm))));
            }
            let mut deaths = kill_services(shops, ChaCha8Rng::from_rng(&mut seeds), calm);
            for (name, server) in servers {
                deaths.insert(name, server.join().unwrap());
            }
            deaths
        });
        self.shops.iter_mut().for_each(calm_down);
    }
}

/// Until all are up, also those that ended meanwhile.
fn calm_down(shop: &mut Shop) {
    loop {
        revive(shop);
        match shop.wait_until_ready() {
            Ok(()) => return,
            Err(ShopError::Ended { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// In rounds, in each of which every service dies once, in any of the shops.
fn kill_services(shops: &mut [Shop], mut random: ChaCha8Rng, calm: &AtomicBool) -> Deaths {
    let mut deaths = Deaths::new();
    let mut round = Vec::new();
    while !calm.load(Ordering::Relaxed) || deaths.len() < Shop::services().count() {
        if round.is_empty() {
            round.extend(Shop::services());
            round.shuffle(&mut random);
        }
        let Some(victim) = round.pop() else { break };
        shops.iter_mut().for_each(revive);
        let place = random.random_range(0..shops.len());
        let shop = &mut shops[place];
        shop.kill(victim);
        *deaths.entry(victim).or_default() += 1;
        sleep(Duration::from_millis(random.random_range(DEAD)));
        shop.open(victim).unwrap();
        sleep(Duration::from_millis(random.random_range(ALIVE)));
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
    while !calm.load(Ordering::Relaxed) || deaths == 0 {
        sleep(Duration::from_millis(random.random_range(SERVED)));
        engine.kill();
        deaths += 1;
        engine.start().unwrap();
    }
    deaths
}
