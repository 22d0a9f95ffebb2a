//! The heap profiles of one process so far, as digests: the first, the newest, and some between.

use std::collections::VecDeque;
use std::sync::Arc;

use watchdog_core::culprit::MIN_PROFILES;
use watchdog_core::culprit::growth::Digest;
use watchdog_core::profile::Profile;
use watchdog_core::units::WallTime;

/// Digests kept. A growth needs three profiles; more show its course over hours and seconds alike. Of 10,000 stacks each
/// takes 240 KB.
const MAX_DIGESTS: usize = 12;

/// Digests in the order of their time.
#[derive(Debug, Default)]
pub(super) struct Ramp {
    digests: VecDeque<Arc<Digest>>,
}

impl Ramp {
    /// Adds a profile. Of too many the one goes that leaves the smallest gap, as a share of the time since.
    pub(super) fn add(&mut self, profile: &Profile) {
        if self.digests.len() == MAX_DIGESTS {
            self.digests.remove(self.most_crowded());
        }
        self.digests.push_back(Arc::new(Digest::of(profile)));
    }

    /// Neither the first nor the newest: the one whose neighbours are closest, seen from now.
    fn most_crowded(&self) -> usize {
        let taken = |at: usize| self.digests.get(at).map_or(0.0, |digest| digest.taken.0);
        let now = taken(self.digests.len() - 1);
        let gap = |at: usize| (taken(at + 1) - taken(at - 1)) / (now - taken(at - 1)).max(1e-3);
        (1..self.digests.len() - 1).min_by(|a, b| gap(*a).total_cmp(&gap(*b))).unwrap_or(1)
    }

    /// What to compare the newest profile with when the growth began at `start`: from the last digest before that on,
    /// without the newest, and as many as are needed.
    pub(super) fn since(&self, start: WallTime) -> Vec<Arc<Digest>> {
        let earlier = self.digests.len().saturating_sub(1);
        let before = self.digests.iter().take(earlier).rposition(|d| d.taken.0 <= start.0);
        let from = before.unwrap_or(0).min(earlier.saturating_sub(MIN_PROFILES - 1));
        self.digests.iter().take(earlier).skip(from).cloned().collect()
    }

    /// The growth is over: what was held then is what a later growth begins with.
    pub(super) fn settle(&mut self) {
        self.digests.drain(..self.digests.len().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(times: impl IntoIterator<Item = f64>) -> Ramp {
        let mut ramp = Ramp::default();
        for taken in times {
            ramp.add(&Profile { taken: WallTime(taken), ..Profile::default() });
        }
        ramp
    }

    fn times<'a>(digests: impl IntoIterator<Item = &'a Arc<Digest>>) -> Vec<f64> {
        digests.into_iter().map(|digest| digest.taken.0).collect()
    }

    #[test]
    fn the_comparison_begins_before_the_growth_did() {
        let ramp = ramp([10.0, 100.0, 200.0, 300.0, 310.0, 320.0]);
        assert_eq!(times(&ramp.since(WallTime(250.0))), [200.0, 300.0, 310.0]);
        assert_eq!(times(&ramp.since(WallTime(5.0))), [10.0, 100.0, 200.0, 300.0, 310.0]);
        assert_eq!(times(&ramp.since(WallTime(900.0))), [300.0, 310.0], "never fewer than needed");
    }

    #[test]
    fn of_one_profile_there_is_nothing_earlier() {
        assert!(ramp([10.0]).since(WallTime(0.0)).is_empty());
        assert!(Ramp::default().since(WallTime(0.0)).is_empty());
    }

    #[test]
    fn the_first_and_the_last_hours_and_the_last_seconds_are_all_kept() {
        let hours = (0..200).map(|minute| f64::from(minute) * 60.0);
        let seconds = (1..40).map(|second| 199.0 * 60.0 + f64::from(second));
        let ramp = ramp(hours.chain(seconds));
        let kept = times(&ramp.digests);
        assert_eq!(kept.len(), MAX_DIGESTS);
        assert_eq!(kept[0], 0.0);
        assert_eq!(kept[MAX_DIGESTS - 1], 199.0 * 60.0 + 39.0);
        assert!(kept.iter().any(|t| (3000.0..11_000.0).contains(t)), "{kept:?}");
        assert!(kept.iter().filter(|t| **t > 199.0 * 60.0).count() >= 4, "{kept:?}");
    }

    #[test]
    fn after_the_growth_only_the_newest_counts() {
        let mut ramp = ramp([10.0, 20.0, 30.0]);
        ramp.settle();
        assert_eq!(times(&ramp.digests), [30.0]);
        ramp.settle();
        assert_eq!(times(&ramp.digests), [30.0]);
    }

    #[test]
    fn a_clock_that_goes_back_loses_nothing_but_order() {
        let ramp = ramp((0..50).map(|step| 1000.0 - f64::from(step)));
        assert_eq!(ramp.digests.len(), MAX_DIGESTS);
        assert!(!ramp.since(WallTime(0.0)).is_empty());
    }
}
