//! A circuit breaker: after some failures in a row no calls are made for a while, then one to see.
//!
//! A service that is down is not helped by being asked, and a caller that waits for it holds its own clients up.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row that open the circuit. One may be chance; with this many the next fails as well.
const FAILURES: u32 = 5;

/// How long it stays open: a service that is restarted is back after a few seconds.
const REST: Duration = Duration::from_secs(3);

#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// No calls before then; afterwards whoever comes first tries, and moves it on.
    resting_until: Option<Instant>,
}

impl Breaker {
    /// Whether a call may be made. Every yes is to be followed by [`Breaker::succeeded`] or [`Breaker::failed`]; one
    /// that is not costs another rest at most.
    pub(super) fn allows(&self) -> bool {
        let mut state = self.state();
        match state.resting_until {
            None => true,
            Some(until) if Instant::now() < until => false,
            Some(_) => {
                state.resting_until = Some(Instant::now() + REST);
                true
            }
        }
    }

    pub(super) fn succeeded(&self) {
        *self.state() = State::default();
    }

    pub(super) fn failed(&self) {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        if state.failures >= FAILURES {
            state.resting_until = Some(Instant::now() + REST);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn broken() -> Breaker {
        let breaker = Breaker::default();
        for _ in 0..FAILURES {
            assert!(breaker.allows());
            breaker.failed();
        }
        breaker
    }

    #[tokio::test(start_paused = true)]
    async fn after_failures_in_a_row_nothing_is_tried_for_a_while_and_then_one_call() {
        let breaker = broken();
        assert!(!breaker.allows());
        advance(REST).await;
        assert!(breaker.allows(), "one to see");
        assert!(!breaker.allows(), "and only one");
        breaker.failed();
        assert!(!breaker.allows());
        advance(REST).await;
        assert!(breaker.allows());
        breaker.succeeded();
        assert!(breaker.allows() && breaker.allows());
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_in_between_keeps_it_closed() {
        let breaker = Breaker::default();
        for _ in 0..100 {
            breaker.failed();
            breaker.succeeded();
            assert!(breaker.allows());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_trial_that_never_ends_does_not_keep_it_open_for_ever() {
        let breaker = broken();
        advance(REST).await;
        assert!(breaker.allows());
        advance(REST).await;
        assert!(breaker.allows());
    }
}
