//! A median with an interval that supposes nothing of how the figures are distributed.

use serde::Serialize;

/// The least that an interval should cover.
const COVERAGE: f64 = 0.9;

/// The median of some figures, and where the true one is.
#[derive(Debug, Serialize)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    /// How probable it is that the true median is between the two.
    pub(super) coverage: f64,
}

impl Spread {
    /// The interval is between the k-th smallest and the k-th largest figure, with the largest k that covers enough:
    /// that the true median is outside is as probable as fewer than k heads or tails among as many throws of a coin.
    pub(super) fn of(figures: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = figures.collect();
        sorted.sort_by(f64::total_cmp);
        let median = crate::bench::table::median(&sorted);
        let (mut k, mut outside) = (0, 0.0);
        let mut probability = 0.5_f64.powi(i32::try_from(sorted.len()).unwrap_or(i32::MAX));
        let mut covered = 1.0 - 2.0 * probability;
        while k < sorted.len() / 2 {
            outside += 2.0 * probability;
            if k > 0 && 1.0 - outside < COVERAGE {
                break;
            }
            covered = 1.0 - outside;
            probability *= (sorted.len() - k) as f64 / (k + 1) as f64;
            k += 1;
        }
        let at = |index: usize| sorted.get(index).copied().unwrap_or(median);
        let low = at(k.saturating_sub(1));
        let high = at(sorted.len().saturating_sub(k.max(1)));
        Self { median, low, high, coverage: covered.max(0.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_leaves_out_as_many_as_a_table_of_the_sign_test_says() {
        let of = |n: u32| Spread::of((1..=n).map(f64::from));
        let (six, eight, twelve) = (of(6), of(8), of(12));
        assert_eq!((six.low, six.median, six.high), (1.0, 3.5, 6.0));
        assert!((six.coverage - 0.969).abs() < 0.001, "{six:?}");
        assert_eq!((eight.low, eight.high), (2.0, 7.0));
        assert!((eight.coverage - 0.930).abs() < 0.001, "{eight:?}");
        assert_eq!((twelve.low, twelve.high), (3.0, 10.0));
        assert!((twelve.coverage - 0.961).abs() < 0.001, "{twelve:?}");
    }

    #[test]
    fn one_figure_says_nothing_of_its_spread() {
        let one = Spread::of([7.0].into_iter());
        assert_eq!((one.low, one.median, one.high, one.coverage), (7.0, 7.0, 7.0, 0.0));
    }
}
