//! Pauses between attempts: exponential, jittered so that many watchdogs do not come back at once.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// The pause after the `failures`-th failure in a row (from 1): between half and all of `first · 2^(failures-1)`,
/// and of `longest` at most.
pub(super) fn pause(failures: u32, first: Duration, longest: Duration) -> Duration {
    let doubled = first.saturating_mul(2u32.saturating_pow(failures.saturating_sub(1)));
    doubled.min(longest).mul_f64(0.5 + 0.5 * random())
}

/// What the receiver asked for, and up to a tenth more.
pub(super) fn asked(after: Duration) -> Duration {
    after.saturating_add((after / 10).mul_f64(random()))
}

/// Between 0 and 1. The standard library seeds each hasher state anew, which is random enough to spread load.
fn random() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 11;
    bits as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(500);
    const LONGEST: Duration = Duration::from_secs(60);

    #[test]
    fn pauses_double_up_to_the_longest_and_lie_in_the_upper_half() {
        for (failures, full) in [(1, 0.5), (2, 1.0), (4, 4.0), (8, 60.0), (u32::MAX, 60.0)] {
            let pause = pause(failures, FIRST, LONGEST).as_secs_f64();
            assert!(pause >= full / 2.0 && pause <= full, "{failures}: {pause}");
        }
    }

    #[test]
    fn pauses_differ_between_watchdogs() {
        let pauses: Vec<_> = (0..8).map(|_| pause(8, FIRST, LONGEST)).collect();
        assert!(pauses.iter().any(|pause| *pause != pauses[0]), "{pauses:?}");
    }

    #[test]
    fn a_receiver_never_gets_less_time_than_it_asked_for() {
        let pause = asked(Duration::from_secs(30)).as_secs_f64();
        assert!((30.0..=33.0).contains(&pause), "{pause}");
        assert!(asked(Duration::MAX) <= Duration::MAX);
    }
}
