//! Faults: leaks and innocent look-alikes that an operator starts at a given rate. They need no load: a fault is
//! driven by the clock.

mod pace;
mod routes;

use std::sync::Arc;

use tokio::sync::watch;

pub(crate) use routes::routes;

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
