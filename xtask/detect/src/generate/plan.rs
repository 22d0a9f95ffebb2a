//! What happens to a service over time, before noise and before anybody looks.
//!
//! All amounts are fractions of the limit.

use super::clock::Clock;
use super::dice::Dice;
use super::service::Service;
use super::wave::{self, DAY};

/// A process that ends and its successor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Restart {
    /// Seconds at which the successor starts.
    pub(super) at: f64,
    /// Seconds before that without a process.
    pub(super) down: f64,
}

/// What happens, one value for each tick of the clock.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// When samples are taken.
    pub(super) clock: Clock,
    /// Requests relative to their average; never negative.
    pub(super) load: Vec<f64>,
    /// The service's base.
    pub(super) base: f64,
    /// Heap above the base.
    pub(super) heap: Vec<f64>,
    /// Pages the allocator cannot give back though little lives in them.
    pub(super) fragments: Vec<f64>,
    /// Anonymous memory outside the allocator, above the base.
    pub(super) outside: Vec<f64>,
    /// Shared memory above the base.
    pub(super) shmem: Vec<f64>,
    /// File pages above the base.
    pub(super) file: Vec<f64>,
    /// In the order of time.
    pub(super) restarts: Vec<Restart>,
    /// Upper bound in seconds on the service's warm-up, so that it is short beside what happens.
    pub(super) warm_up: f64,
    /// Seconds after which freed pages have mostly gone back to the kernel.
    pub(super) decay: f64,
    /// What bursts of requests do not exceed. A service that has lived well so far has room for its bursts; one that
    /// leaks loses it.
    pub(super) ceiling: f64,
}

impl Plan {
    /// Nothing happens, under ordinary load.
    pub(super) fn quiet(service: &Service, clock: Clock, dice: &mut Dice) -> Self {
        let none = vec![0.0; clock.times.len()];
        Self {
            load: ordinary_load(&clock, dice),
            base: service.base,
            heap: none.clone(),
            fragments: none.clone(),
            outside: none.clone(),
            shmem: none.clone(),
            file: none,
            restarts: Vec::new(),
            warm_up: clock.span() / 100.0,
            decay: service.decay,
            ceiling: f64::INFINITY,
            clock,
        }
    }

    /// The highest that all of it comes to together, request memory and wandering aside.
    pub(super) fn peak(&self) -> f64 {
        let layers = self.heap.iter().zip(&self.fragments).zip(&self.outside).zip(&self.shmem);
        let sums =
            layers.map(|(((heap, fragments), outside), shmem)| heap + fragments + outside + shmem);
        self.base + sums.fold(0.0, f64::max)
    }
}

/// Load that has nothing to do with what happens: about even over hours, mostly with days in it over days.
fn ordinary_load(clock: &Clock, dice: &mut Dice) -> Vec<f64> {
    let daily = clock.span() >= DAY && dice.chance(0.6);
    let swing = if daily { dice.between(0.1, 0.6) } else { 0.0 };
    let factors = wave::alike(dice);
    let days = wave::days(&clock.times, DAY, &factors, dice);
    let shape: Vec<_> = days.iter().map(|day| 1.0 + swing * (2.0 * day - 1.0)).collect();
    uneven(&clock.times, &shape, dice)
}

/// The load as it is around its shape: users come and go.
pub(super) fn uneven(times: &[f64], shape: &[f64], dice: &mut Dice) -> Vec<f64> {
    let spread = dice.between(0.03, 0.12);
    let memory = dice.scale(300.0, 3600.0);
    let walk = wave::wander(times, memory, dice);
    shape.iter().zip(walk).map(|(level, walk)| level.max(0.0) * (spread * walk).exp()).collect()
}
