//! Drives a program: requests come at the pace at which their memory is to be kept.

use std::time::Duration;

use anyhow::bail;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::traffic::{Request, Traffic};

/// Short against the watchdog's cadence, so that growth looks steady.
const TICK: Duration = Duration::from_millis(10);

/// A leaking program ends when it keeps this many bytes: one that was forgotten must not take the whole machine.
pub(crate) const MOST: u64 = 2 << 30;

/// What a request costs at least, so that a program that keeps nothing of it is not driven without end.
const LEAST: u64 = 64;

/// A small service.
pub(crate) trait Program: Send {
    /// Answers one request. Returns the bytes that it keeps of it, or has allocated for it where nothing is kept.
    fn handle(&mut self, request: &Request) -> usize;
}

/// Sends requests to `program` so that it keeps `rate` bytes a second.
///
/// # Errors
/// When it keeps more than `most` bytes.
pub(crate) async fn drive(
    mut program: Box<dyn Program>,
    rate: u64,
    most: Option<u64>,
) -> anyhow::Result<()> {
    let mut traffic = Traffic::default();
    let (mut kept, mut paid) = (0_u64, 0_u64);
    let started = Instant::now();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let due = due(rate, started.elapsed());
        // A program that was stopped for a minute does not make up for it.
        paid = paid.max(due.saturating_sub(rate));
        let cost = serve(&mut traffic, program.as_mut(), due.saturating_sub(paid));
        paid += cost;
        kept += cost;
        if let Some(most) = most.filter(|most| kept > *most) {
            bail!("it has leaked {most} bytes, which is enough: the program ends");
        }
    }
}

/// Bytes to be kept so long after the start.
fn due(rate: u64, elapsed: Duration) -> u64 {
    let due = u128::from(rate) * elapsed.as_nanos() / 1_000_000_000;
    u64::try_from(due).unwrap_or(u64::MAX)
}

/// Requests until they have cost the budget; returns what they cost.
fn serve(traffic: &mut Traffic, program: &mut dyn Program, budget: u64) -> u64 {
    let mut cost = 0;
    while cost < budget {
        let request = traffic.receive();
        cost += (program.handle(&request) as u64).max(LEAST);
        traffic.answer(&request);
    }
    cost
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Keeps(usize);

    impl Program for Keeps {
        fn handle(&mut self, _: &Request) -> usize {
            self.0
        }
    }

    #[test]
    fn a_budget_is_spent_to_within_one_request() {
        for size in [0, 100, 10_000] {
            let cost = serve(&mut Traffic::default(), &mut Keeps(size), 1_000_000);
            assert!((1_000_000..1_010_000).contains(&cost), "{size}: {cost}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_leak_that_was_forgotten_ends_by_itself_at_its_rate() {
        let started = Instant::now();
        let error = drive(Box::new(Keeps(1 << 20)), 10 << 20, Some(100 << 20)).await.unwrap_err();
        assert!(error.to_string().contains("enough"), "{error}");
        let seconds = started.elapsed().as_secs_f64();
        assert!((9.5..11.0).contains(&seconds), "{seconds}");
    }
}
