//! What the pictures show: of two replicas, one leaks, is killed, comes back and leaks again; the other is half full and
//! leaks slowly; two programs only look like a leak.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::test::lab::Lab;
use crate::test::prometheus::Prometheus;

/// How much of the time is shown: all of the scene but its first seconds.
pub(super) const SHOWN: Duration = Duration::from_secs(480);
/// What the reader must know of it.
pub(super) const WORDS: &str = "Two replicas with 256 MiB each leak; one is killed, comes back and leaks again. Scraped every second.";
const WARM: Duration = Duration::from_secs(15);
/// Before the leak begins.
const CALM: Duration = Duration::from_secs(60);
/// The limit is full after some three minutes and a half.
const LEAK: u64 = 1_100_000;
/// This one is told as a leak, and not killed within the scene.
const SLOW_LEAK: u64 = 200_000;
const FILLED: u64 = 150 << 20;
/// Between the restart and the next leak.
const AGAIN: Duration = Duration::from_secs(45);
const PAUSE: Duration = Duration::from_millis(500);

/// The stage at the end of the scene.
pub(super) struct Scene {
    pub(super) prometheus: Prometheus,
    lab: Lab,
}

impl Scene {
    /// Plays it.
    pub(super) fn play() -> Result<Self> {
        let mut lab = Lab::start([0, FILLED], None)?;
        let prometheus = Prometheus::start(&lab.scraped(), None)?;
        println!("a scene of {} s is played", (WARM + SHOWN).as_secs());
        thread::sleep(WARM + CALM);
        let end = Instant::now() + SHOWN - CALM;
        lab.replicas[0].leak(LEAK)?;
        lab.replicas[1].leak(SLOW_LEAK)?;
        let mut again = None;
        while Instant::now() < end {
            if lab.replicas[0].revive()? {
                again = Some(Instant::now() + AGAIN);
            }
            if again.is_some_and(|at| Instant::now() >= at) {
                lab.replicas[0].leak(LEAK)?;
                again = None;
            }
            thread::sleep(PAUSE);
        }
        Ok(Self { prometheus, lab })
    }

    /// The watchdog of the replica that was killed.
    pub(super) fn leaking(&self) -> SocketAddr {
        self.lab.replicas[0].watchdog
    }
}
