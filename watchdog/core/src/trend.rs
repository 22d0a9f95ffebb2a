//! A robust slope: Theil–Sen on the lower envelope, with bounds from Kendall's distribution.
//!
//! Why not least squares: one collector saw-tooth or one burst moves it, and its error assumes independent noise,
//! which memory never has. Theil–Sen is the median of all pairwise slopes (Sen 1968) and bears 29 % outliers.
//! Its inputs are bucket minima, never raw samples, so that neighbours are nearly independent.

use serde::{Deserialize, Serialize};

use crate::envelope::BUCKETS;
use crate::units::BytesPerSecond;

/// One point of the envelope: seconds and bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Seconds on the sampling clock.
    pub t: f64,
    /// Bytes.
    pub bytes: f64,
}

/// A slope with its 95 % bounds over a window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    /// Median pairwise slope.
    pub slope: BytesPerSecond,
    /// Lower bound.
    pub low: BytesPerSecond,
    /// Upper bound.
    pub high: BytesPerSecond,
    /// Length of the window in seconds.
    pub window: f64,
    /// Kendall's S divided by its largest value: 1 when every step went up.
    pub tau: f64,
}

/// Two-sided 95 % quantile of the normal distribution.
const Z95: f64 = 1.96;

/// Kendall's tau of `points`: the share of pairs that rise less the share of those that fall, −1 to 1; 0 without pairs.
/// A glance that spares the slopes where nothing rises, which is nearly always.
pub fn kendall(points: &[Point]) -> f64 {
    let (mut s, mut pairs) = (0i32, 0i32);
    for (i, a) in points.iter().enumerate() {
        for b in &points[i + 1..] {
            s += i32::from(b.bytes > a.bytes) - i32::from(b.bytes < a.bytes);
            pairs += 1;
        }
    }
    f64::from(s) / f64::from(pairs.max(1))
}

/// Share of pairs that rise, Kendall's tau: 0.55 of 66 pairs is z = 2.5, one false rise in 160 on white noise.
pub const MIN_TAU: f64 = 0.55;

/// Most points that are taken: a window's buckets.
const MAX_POINTS: usize = BUCKETS;
const MAX_PAIRS: usize = MAX_POINTS * (MAX_POINTS - 1) / 2;

/// Theil–Sen over `points` (ascending in time). `None` below six points, as with fewer the 95 % bounds span every
/// pairwise slope and mean nothing, and above [`BUCKETS`].
pub fn theil_sen(points: &[Point]) -> Option<Trend> {
    let n = points.len();
    if !(6..=MAX_POINTS).contains(&n) {
        return None;
    }
    // On the stack: this runs at every closed bucket of every window.
    let mut pairs = [0.0; MAX_PAIRS];
    let mut count = 0;
    for (i, a) in points.iter().enumerate() {
        for b in &points[i + 1..] {
            let dt = b.t - a.t;
            if dt <= 0.0 {
                return None;
            }
            pairs[count] = (b.bytes - a.bytes) / dt;
            count += 1;
        }
    }
    let slopes = &mut pairs[..count];
    let nf = n as f64;
    // Variance of Kendall's S without ties (Kendall 1975); Sen's interval takes the ranks (N ± z·σ) / 2.
    let sigma = (nf * (nf - 1.0) * (2.0 * nf + 5.0) / 18.0).sqrt();
    let half = Z95 * sigma;
    let low_rank = ((count as f64 - half) / 2.0).floor().max(0.0) as usize;
    let high_rank = (((count as f64 + half) / 2.0).ceil() as usize).min(count - 1);
    let slope = median(slopes)?;
    let mut ranked = |rank: usize| *slopes.select_nth_unstable_by(rank, f64::total_cmp).1;
    let (low, high) = (ranked(low_rank), ranked(high_rank));
    Some(Trend {
        slope: BytesPerSecond(slope),
        low: BytesPerSecond(low),
        high: BytesPerSecond(high),
        window: points[n - 1].t - points[0].t,
        tau: kendall(points),
    })
}

/// The middle value, reordering the values; `None` for none.
pub fn median(values: &mut [f64]) -> Option<f64> {
    let middle = values.len() / 2;
    if values.is_empty() {
        return None;
    }
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = *upper;
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    Some(if values.len() % 2 == 1 { upper } else { f64::midpoint(lower, upper) })
}

/// The last third must climb at half the window's pace, else it is a plateau in the making.
const STILL_CLIMBING: f64 = 0.5;

impl Trend {
    /// Where its line stands at `t`: the median of the points moved there along the slope.
    pub fn level(&self, points: &[Point], t: f64) -> f64 {
        let mut moved: Vec<f64> =
            points.iter().map(|p| p.bytes + self.slope.0 * (t - p.t)).collect();
        median(&mut moved).unwrap_or(0.0)
    }

    /// Whether it rises beyond doubt: the lower bound is above zero, and nearly all pairs rise.
    pub fn rises(&self) -> bool {
        self.low.0 > 0.0 && self.tau >= MIN_TAU
    }

    /// Whether the last third of the points it was computed from still climbs at half its pace.
    pub fn still_climbs(&self, points: &[Point]) -> bool {
        let third = (points.len() * 2 / 3).checked_sub(1);
        match (points.last(), third.and_then(|third| points.get(third))) {
            (Some(last), Some(from)) if last.t > from.t => {
                (last.bytes - from.bytes) / (last.t - from.t) >= self.slope.0 * STILL_CLIMBING
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(n: usize, slope: f64) -> Vec<Point> {
        (0..n).map(|i| Point { t: i as f64, bytes: 1e6 + slope * i as f64 }).collect()
    }

    #[test]
    fn a_straight_line_has_its_slope_and_no_doubt() {
        let trend = theil_sen(&line(12, 250.0)).expect("a trend");
        for value in [trend.slope, trend.low, trend.high] {
            assert!((value.0 - 250.0).abs() < 1e-6, "{value:?}");
        }
        assert_eq!(trend.tau, 1.0);
        assert_eq!(trend.window, 11.0);
    }

    #[test]
    fn one_wild_point_does_not_move_it() {
        let mut points = line(12, 250.0);
        points[6].bytes += 1e9;
        let trend = theil_sen(&points).expect("a trend");
        assert!((trend.slope.0 - 250.0).abs() < 1.0, "{trend:?}");
    }

    #[test]
    fn noise_without_a_trend_has_bounds_around_zero() {
        let points: Vec<Point> = [3.0, 1.0, 4.0, 1.5, 5.0, 9.0, 2.0, 6.0, 5.5, 3.5, 5.8, 2.5]
            .iter()
            .enumerate()
            .map(|(i, v)| Point { t: i as f64, bytes: *v })
            .collect();
        let trend = theil_sen(&points).expect("a trend");
        assert!(trend.low.0 < 0.0 && trend.high.0 > 0.0, "{trend:?}");
    }

    #[test]
    fn too_few_points_or_a_clock_that_stands_still_give_no_trend() {
        assert_eq!(theil_sen(&line(5, 1.0)), None);
        assert_eq!(theil_sen(&[Point { t: 1.0, bytes: 1.0 }; 8]), None);
    }
}
