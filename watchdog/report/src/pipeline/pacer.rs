//! How many steps a sink is asked for: a token bucket. Pure: the time is an argument.

use tokio::time::Instant;

use crate::sink::Pace;

/// Fills by one token every `pace.every`, up to `pace.burst`.
#[derive(Debug)]
pub(super) struct Pacer {
    pace: Option<Pace>,
    /// When the bucket was, or will be, empty.
    empty_at: Option<Instant>,
}

impl Pacer {
    pub(super) fn new(pace: Option<Pace>) -> Self {
        Self { pace, empty_at: None }
    }

    /// When the next step is allowed.
    pub(super) fn next(&self, now: Instant) -> Instant {
        match (self.pace, self.empty_at) {
            (Some(pace), Some(empty_at)) => now.max(empty_at + pace.every),
            _ => now,
        }
    }

    /// A step was taken.
    pub(super) fn spend(&mut self, now: Instant) {
        let Some(pace) = self.pace else { return };
        let full = pace.every.saturating_mul(pace.burst.max(1));
        // A full bucket of `burst` tokens was empty `burst · every` ago.
        let earliest = now.checked_sub(full);
        let empty_at = match (self.empty_at, earliest) {
            (Some(at), Some(earliest)) => at.max(earliest),
            (Some(at), None) => at,
            (None, Some(earliest)) => earliest,
            (None, None) => now,
        };
        self.empty_at = Some(empty_at + pace.every);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_goes_at_once_and_then_one_at_a_time() {
        let every = Duration::from_secs(1);
        let mut pacer = Pacer::new(Some(Pace { burst: 3, every }));
        let start = Instant::now() + Duration::from_secs(1000);
        for _ in 0..3 {
            assert_eq!(pacer.next(start), start);
            pacer.spend(start);
        }
        assert_eq!(pacer.next(start), start + every);
        pacer.spend(start + every);
        assert_eq!(pacer.next(start + every), start + 2 * every);
        let later = start + Duration::from_secs(60);
        for _ in 0..3 {
            assert_eq!(pacer.next(later), later, "the bucket is full again");
            pacer.spend(later);
        }
        assert_eq!(pacer.next(later), later + every);
    }

    #[test]
    fn without_a_pace_nothing_waits() {
        let mut pacer = Pacer::new(None);
        let now = Instant::now();
        (0..100).for_each(|_| pacer.spend(now));
        assert_eq!(pacer.next(now), now);
    }
}
