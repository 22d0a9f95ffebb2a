//! One metric's samples, and least squares over any stretch of them from exact running sums.

use std::ops::Range;
use std::sync::OnceLock;

/// Bits of a value that the sums keep; a float has no more.
const BITS: i32 = 53;

/// Samples of one metric: milliseconds, as Prometheus keeps them, and values.
#[derive(Clone, Debug, Default)]
pub(super) struct Column {
    at: Vec<i64>,
    value: Vec<f64>,
    sums: OnceLock<Sums>,
}

/// A straight line through samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Line {
    /// Change a second.
    pub(super) slope: f64,
    /// Value at the origin the fit was asked for.
    pub(super) intercept: f64,
}

/// Sums over the first samples, in whole numbers: subtracting one from another loses nothing, however long the series
/// is. A sliding sum of floats would drift, and a rule that compares a slope with zero would see the drift; here equal
/// samples have no slope at all, for which Prometheus needs a case of its own.
#[derive(Clone, Debug)]
struct Sums {
    /// Steps a unit of the value.
    scale: f64,
    /// Entry `i` is over the samples before `i`.
    upto: Vec<Moments>,
}

/// Sums of x (milliseconds), y (steps) and their products. They may wrap; the difference of two that are not far
/// apart is right all the same.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    x: i128,
    y: i128,
    xx: i128,
    xy: i128,
}

impl Column {
    /// From milliseconds, which ascend, and values, which are finite.
    pub(super) fn new(points: impl IntoIterator<Item = (i64, f64)>) -> Self {
        let (at, value) = points.into_iter().unzip();
        Self { at, value, sums: OnceLock::new() }
    }

    /// Milliseconds and values.
    pub(super) fn points(&self) -> impl Iterator<Item = (i64, f64)> + '_ {
        self.at.iter().copied().zip(self.value.iter().copied())
    }

    pub(super) fn at(&self, index: usize) -> i64 {
        self.at[index]
    }

    pub(super) fn values(&self, samples: Range<usize>) -> &[f64] {
        &self.value[samples]
    }

    /// What an instant selector gives: the last sample that is not older than `lookback`.
    pub(super) fn last(&self, now: i64, lookback: i64) -> Option<f64> {
        let index = self.at.partition_point(|at| *at <= now).checked_sub(1)?;
        (self.at[index] >= now - lookback).then(|| self.value[index])
    }

    /// What a range selector gives: the samples of the window, both its ends included.
    pub(super) fn window(&self, from: i64, to: i64) -> Range<usize> {
        self.at.partition_point(|at| *at < from)..self.at.partition_point(|at| *at <= to)
    }

    /// Least squares, with time counted from `origin`; `None` with fewer than two samples.
    pub(super) fn fit(&self, samples: Range<usize>, origin: i64) -> Option<Line> {
        let Range { start, end } = samples;
        if end < start + 2 {
            return None;
        }
        let sums = self.sums.get_or_init(|| Sums::new(&self.at, &self.value));
        let n = (end - start) as i128;
        let Moments { x, y, xx, xy } =
            sums.upto[end].minus(sums.upto[start]).about(i128::from(origin), n);
        let steps = (n * xy - x * y) as f64 / (n * xx - x * x) as f64;
        let intercept = (y as f64 - steps * x as f64) / n as f64;
        Some(Line { slope: steps * 1e3 / sums.scale, intercept: intercept / sums.scale })
    }
}

impl Sums {
    fn new(at: &[i64], value: &[f64]) -> Self {
        let largest = value.iter().fold(0.0_f64, |largest, v| largest.max(v.abs()));
        let scale = if largest > 0.0 {
            f64::from(BITS - 1 - largest.log2().floor() as i32).exp2()
        } else {
            1.0
        };
        let mut upto = Vec::with_capacity(at.len() + 1);
        let mut sum = Moments::default();
        upto.push(sum);
        for (at, value) in at.iter().zip(value) {
            let (x, y) = (i128::from(*at), (value * scale).round() as i128);
            sum = sum.plus(Moments { x, y, xx: x * x, xy: x * y });
            upto.push(sum);
        }
        Self { scale, upto }
    }
}

impl Moments {
    fn plus(self, other: Self) -> Self {
        Self {
            x: self.x.wrapping_add(other.x),
            y: self.y.wrapping_add(other.y),
            xx: self.xx.wrapping_add(other.xx),
            xy: self.xy.wrapping_add(other.xy),
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            x: self.x.wrapping_sub(other.x),
            y: self.y.wrapping_sub(other.y),
            xx: self.xx.wrapping_sub(other.xx),
            xy: self.xy.wrapping_sub(other.xy),
        }
    }

    /// The sums of `n` samples with x counted from `origin`.
    fn about(self, origin: i128, n: i128) -> Self {
        let shift = n.wrapping_mul(origin);
        Self {
            x: self.x.wrapping_sub(shift),
            y: self.y,
            xx: self
                .xx
                .wrapping_sub(origin.wrapping_mul(self.x).wrapping_mul(2))
                .wrapping_add(shift.wrapping_mul(origin)),
            xy: self.xy.wrapping_sub(origin.wrapping_mul(self.y)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn column(points: &[(i64, f64)]) -> Column {
        Column::new(points.iter().copied())
    }

    #[test]
    fn both_ends_of_a_window_belong_to_it() {
        let column = column(&[(0, 1.0), (1000, 2.0), (2000, 3.0)]);
        assert_eq!(column.window(0, 2000), 0..3);
        assert_eq!(column.window(1, 1999), 1..2);
    }

    #[test]
    fn a_sample_is_seen_until_it_is_older_than_the_lookback() {
        let column = column(&[(1000, 7.0)]);
        assert_eq!(column.last(999, 300_000), None);
        assert_eq!(column.last(301_000, 300_000), Some(7.0));
        assert_eq!(column.last(301_001, 300_000), None);
    }

    #[test]
    fn a_straight_line_is_found_exactly_weeks_after_the_first_sample() {
        let far = 60 * 86_400_000;
        let points: Vec<_> = (0..200_000).map(|i| (i * 1000, 1e12 + 5.0 * i as f64)).collect();
        let mut late: Vec<_> = points.iter().map(|(at, v)| (at + far, *v)).collect();
        late.insert(0, (0, 3.0));
        let column = column(&late);
        let line = column.fit(190_000..200_000, far + 200_000_000).expect("enough samples");
        assert_eq!(line.slope, 5.0);
        assert_eq!(line.intercept, 1e12 + 1e6);
    }

    #[test]
    fn equal_samples_have_no_slope_and_one_sample_has_no_line() {
        let column = column(&[(0, 0.1), (100, 0.1), (700, 0.1), (900, 0.3)]);
        let line = column.fit(0..3, 9).expect("enough samples");
        assert_eq!(line.slope, 0.0);
        assert!((line.intercept - 0.1).abs() < 1e-15, "{line:?}");
        assert_eq!(column.fit(2..3, 9), None);
        assert_eq!(column.fit(2..2, 9), None);
    }

    proptest! {
        #[test]
        fn sums_agree_with_the_textbook(
            values in prop::collection::vec(0.0..1e12_f64, 3..60),
            steps in prop::collection::vec(1_i64..100_000, 60),
            start in -1_000_000_000_000_i64..1_000_000_000_000,
        ) {
            let mut at = start;
            let points: Vec<_> = values.iter().zip(&steps).map(|(v, step)| { at += step; (at, *v) }).collect();
            let n = points.len() as f64;
            let x = |t: i64| (t - at) as f64 / 1e3;
            let mean_x = points.iter().map(|(t, _)| x(*t)).sum::<f64>() / n;
            let mean_y = points.iter().map(|(_, v)| v).sum::<f64>() / n;
            let cov: f64 = points.iter().map(|(t, v)| (x(*t) - mean_x) * (v - mean_y)).sum();
            let var: f64 = points.iter().map(|(t, _)| (x(*t) - mean_x).powi(2)).sum();
            let line = column(&points).fit(0..points.len(), at).expect("enough samples");
            let scale = 1e12 / (var / n).sqrt();
            prop_assert!((line.slope - cov / var).abs() < 1e-10 * scale, "{line:?}");
            let intercept = mean_y - cov / var * mean_x;
            prop_assert!((line.intercept - intercept).abs() < 1e-9 * 1e12 * (1.0 + mean_x.abs() / (var / n).sqrt()));
        }
    }
}
