//! Drives a fault at a rate: every 10 ms it gets what has come due since it started.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Fault;

/// Short against the watchdog's cadence, so that growth looks steady; long enough that a tick costs nothing.
const TICK: Duration = Duration::from_millis(10);

/// Debt beyond one second's worth, or this where that is less, is forgiven: a process that was stopped for a minute
/// must not take a minute's memory at once. Never less than a fault's piece, or it could never be paid.
const MIN_DEBT: u64 = 1 << 20;

/// Ticks whose worth is taken in one go at most, unless that is less than the smallest debt: whoever stops a fault that
/// was held up shall not wait for all it owes.
const TICKS_AT_ONCE: u64 = 10;

/// What has been given of what came due since the rate was set.
struct Pace {
    per_second: u64,
    given: u64,
}

impl Pace {
    /// What the fault may take now. Due is counted from the start, so that late ticks and left-overs do not add up.
    fn budget(&mut self, elapsed: Duration) -> u64 {
        let due = u128::from(self.per_second) * elapsed.as_nanos() / 1_000_000_000;
        let due = u64::try_from(due).unwrap_or(u64::MAX);
        let debt = due.saturating_sub(self.given);
        let payable = debt.min(self.per_second.max(MIN_DEBT));
        self.given += debt - payable;
        let ticks = 1_000 / TICK.as_millis() as u64;
        payable.min((self.per_second / ticks * TICKS_AT_ONCE).max(MIN_DEBT))
    }
}

/// Runs until the service is gone.
pub(crate) async fn drive(mut rate: watch::Receiver<u64>, mut fault: Box<dyn Fault>) {
    while rate.wait_for(|rate| *rate > 0).await.is_ok() {
        let mut pace = Pace { per_second: *rate.borrow_and_update(), given: 0 };
        let started = Instant::now();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                changed = rate.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return,
                },
                _ = ticks.tick() => {
                    let budget = pace.budget(started.elapsed());
                    pace.given += fault.take(budget);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    struct Pieces {
        size: u64,
        taken: Arc<AtomicU64>,
    }

    impl Fault for Pieces {
        fn take(&mut self, budget: u64) -> u64 {
            let take = budget / self.size * self.size;
            self.taken.fetch_add(take, Ordering::SeqCst);
            take
        }
    }

    fn driven(size: u64) -> (watch::Sender<u64>, Arc<AtomicU64>) {
        let (sender, receiver) = watch::channel(0);
        let taken = Arc::new(AtomicU64::new(0));
        tokio::spawn(drive(receiver, Box::new(Pieces { size, taken: Arc::clone(&taken) })));
        (sender, taken)
    }

    #[tokio::test(start_paused = true)]
    async fn every_rate_from_slow_to_fast_is_kept_to_within_one_piece_and_one_tick() {
        for rate in [4_096, 1_000_000, 20_000_000, 64_000_000] {
            let (sender, taken) = driven(16_384);
            sender.send(rate).unwrap();
            tokio::time::sleep(Duration::from_secs(60)).await;
            let due = rate * 60;
            let off = due.abs_diff(taken.load(Ordering::SeqCst));
            assert!(off <= 16_384 + rate / 100, "{rate}: off by {off}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_fault_stops_when_told_and_starts_again_without_making_up_for_the_pause() {
        let (sender, taken) = driven(1);
        sender.send(1_000_000).unwrap();
        tokio::time::sleep(Duration::from_secs(10)).await;
        sender.send(0).unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        let stopped = taken.load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert_eq!(taken.load(Ordering::SeqCst), stopped);
        sender.send(1_000_000).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(taken.load(Ordering::SeqCst) - stopped <= 1_000_000);
        assert!(taken.load(Ordering::SeqCst) > stopped);
    }

    #[test]
    fn a_process_that_was_stopped_for_a_minute_owes_one_second_and_pays_it_in_parts() {
        let mut pace = Pace { per_second: 50_000_000, given: 0 };
        for _ in 0..10 {
            assert_eq!(pace.budget(Duration::from_secs(60)), 5_000_000);
            pace.given += 5_000_000;
        }
        assert_eq!(pace.budget(Duration::from_secs(60)), 0);
        assert_eq!(pace.budget(Duration::from_millis(60_010)), 500_000);
    }
}
