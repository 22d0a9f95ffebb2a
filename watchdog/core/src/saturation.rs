//! Where growth that slows down would end: a warm-up and a cache that fills approach a level, a leak does not.
//!
//! Statistic: Aitken's extrapolation on the medians of three equal parts of the window. With growth `d1` from the first
//! part to the second and `d2` from the second to the third, a process that slows down by the same factor `r = d2/d1`
//! from part to part ends `d2·r/(1−r)` above the third (the rest of a geometric series; Aitken 1926). Exact for an
//! exponential approach, and too low for slower ones, so only a clear slowing counts.

use crate::trend::{Point, median};

/// Growth must slow down to this share from part to part. Between steady growth (1) and one time constant in a window
/// (0.72) lies what noise can make of a straight line, and less of it where there is little noise.
const CLEAR: f64 = 0.75;
const CLEAR_IF_SMOOTH: f64 = 0.85;

/// The level that the growth approaches, in bytes; `None` when it does not slow down clearly. `smooth` says that the
/// growth's slope is known well.
pub fn asymptote(points: &[Point], smooth: bool) -> Option<f64> {
    let third = points.len() / 3;
    let part = |from: usize| {
        let mut values: Vec<f64> =
            points.get(from..from + third)?.iter().map(|p| p.bytes).collect();
        median(&mut values)
    };
    let (a, b, c) = (part(0)?, part(third)?, part(points.len() - third)?);
    let (d1, d2) = (b - a, (c - b).max(0.0));
    if d1 <= 0.0 {
        return None;
    }
    let ratio = d2 / d1;
    let clear = if smooth { CLEAR_IF_SMOOTH } else { CLEAR };
    (ratio <= clear).then(|| c + d2 * ratio / (1.0 - ratio))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asymptote(f: impl Fn(f64) -> f64, smooth: bool) -> Option<f64> {
        let points: Vec<Point> =
            (0..12).map(|i| Point { t: f64::from(i), bytes: f(f64::from(i)) }).collect();
        super::asymptote(&points, smooth)
    }

    #[test]
    fn an_exponential_approach_is_extrapolated_exactly() {
        let level = asymptote(|t| 100.0 - 60.0 * (-t / 8.0).exp(), false).expect("it slows down");
        assert!((level - 100.0).abs() < 2.0, "{level}");
    }

    #[test]
    fn steady_or_faster_growth_has_no_end() {
        assert_eq!(asymptote(|t| 5.0 * t, true), None);
        assert_eq!(asymptote(|t| t * t, true), None);
        assert_eq!(asymptote(|t| -t, true), None);
    }

    #[test]
    fn growth_that_stopped_ends_where_it_is() {
        let level = asymptote(|t| t.min(4.0), false).expect("it stopped");
        assert!((level - 4.0).abs() < 0.5, "{level}");
    }
}
