//! Faults: leaks and innocent look-alikes that an operator starts at a given rate. They need no load: a fault is
//! driven by the clock.

mod innocent;
mod pace;
mod pieces;
mod routes;

use std::sync::Arc;

use tokio::sync::watch;

pub use innocent::{BatchSawtooth, BoundedCache, DiurnalLoad, HELD_BYTES, PageCache};
pub use pieces::{PIECE_BYTES, pieces, written};
pub(crate) use routes::routes;

use crate::kit::Kit;
use crate::options::Switch;

/// The fastest a fault may be driven, in bytes per second. More than one core can fill steadily would be a rate on
/// paper only.
pub const MAX_RATE: u64 = 1 << 30;

/// Something that takes memory on demand.
pub trait Fault: Send + 'static {
    /// Takes memory worth at most `budget` bytes and returns what it took. Whatever is left over is offered again
    /// with the next budget, so a fault that takes memory in pieces returns multiples of its piece.
    fn take(&mut self, budget: u64) -> u64;
}

/// The faults of a service and the innocent look-alikes that each has.
pub(crate) fn with_innocents(
    mut faults: Vec<(&'static str, Box<dyn Fault>)>,
    kit: &Kit,
) -> Vec<(&'static str, Box<dyn Fault>)> {
    let scratch = kit.options().data.clone().unwrap_or_else(std::env::temp_dir);
    faults.push(("bounded-cache", Box::new(BoundedCache::default())));
    faults.push(("diurnal-load", Box::new(DiurnalLoad::default())));
    faults.push(("batch-sawtooth", Box::new(BatchSawtooth::default())));
    faults.push(("page-cache", Box::new(PageCache::new(scratch))));
    faults
}

/// The faults of one service, by name.
#[derive(Clone)]
pub(crate) struct Faults {
    enabled: bool,
    rates: Arc<[(&'static str, watch::Sender<u64>)]>,
}

impl Faults {
    /// Starts one waiting task per fault; none at all unless faults are on.
    pub(crate) fn start(faults: Vec<(&'static str, Box<dyn Fault>)>, switch: Switch) -> Self {
        let enabled = switch == Switch::On;
        let rates = faults.into_iter().map(|(name, fault)| {
            let (rate, changes) = watch::channel(0);
            if enabled {
                tokio::spawn(pace::drive(changes, fault));
            }
            (name, rate)
        });
        Self { enabled, rates: rates.collect() }
    }

    fn rate(&self, name: &str) -> Option<(&'static str, &watch::Sender<u64>)> {
        self.rates.iter().find(|(known, _)| *known == name).map(|(known, rate)| (*known, rate))
    }
}
