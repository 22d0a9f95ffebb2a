//! A series as lines: as many points as the picture has room for, and a gap where nothing was measured.

use super::span::Point;

/// A step this many times the usual one is a gap.
const GAP: f64 = 5.0;

/// The points thinned to first, lowest, highest and last of each `step` seconds, so that peaks stay. Points come in order.
pub(super) fn thinned(points: impl Iterator<Item = Point>, step: f64) -> Vec<Point> {
    let mut out = Vec::new();
    let mut column: Option<Column> = None;
    for point in points {
        match &mut column {
            Some(column) if point.0 - column.first.0 < step => column.take(point),
            _ => {
                column.iter().for_each(|column| column.give(&mut out));
                column = Some(Column::new(point));
            }
        }
    }
    column.iter().for_each(|column| column.give(&mut out));
    out
}

struct Column {
    first: Point,
    low: Point,
    high: Point,
    last: Point,
}

impl Column {
    fn new(point: Point) -> Self {
        Self { first: point, low: point, high: point, last: point }
    }

    fn take(&mut self, point: Point) {
        if point.1 < self.low.1 {
            self.low = point;
        }
        if point.1 > self.high.1 {
            self.high = point;
        }
        self.last = point;
    }

    fn give(&self, out: &mut Vec<Point>) {
        let (early, late) =
            if self.low.0 <= self.high.0 { (self.low, self.high) } else { (self.high, self.low) };
        for point in [self.first, early, late, self.last] {
            if out.last() != Some(&point) {
                out.push(point);
            }
        }
    }
}

/// The points in unbroken stretches. A gap is a step much longer than those around it: the spacing of rows changes with
/// their age and with the danger, so no fixed step tells one. What is shorter than `least` seconds is none.
pub(super) fn stretches(points: &[Point], least: f64) -> Vec<&[Point]> {
    let step = |index: usize| points[index + 1].0 - points[index].0;
    let steps = points.len().saturating_sub(1);
    let mut out = Vec::new();
    let mut start = 0;
    for index in 0..steps {
        let around =
            (index.saturating_sub(2)..(index + 3).min(steps)).filter(|near| *near != index);
        let mut around: Vec<f64> = around.map(step).collect();
        around.sort_by(f64::total_cmp);
        let usual = around.get(around.len() / 2).copied().unwrap_or(f64::INFINITY);
        if step(index) > GAP * usual.max(least) {
            out.push(&points[start..=index]);
            start = index + 1;
        }
    }
    if start < points.len() {
        out.push(&points[start..]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thinned_series_keeps_its_peaks_and_is_bounded() {
        let point = |i: u32| (f64::from(i), if i == 50_001 { 9.0 } else { f64::from(i % 3) });
        let thin = thinned((0..100_000).map(point), 100.0);
        assert!(thin.len() <= 4000, "{}", thin.len());
        assert!(thin.contains(&(50_001.0, 9.0)));
        assert_eq!((thin[0], thin[thin.len() - 1]), (point(0), point(99_999)));
        assert!(thin.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn few_points_stay_as_they_are() {
        let points: Vec<Point> = (0..10).map(|i| (f64::from(i), 1.0)).collect();
        assert_eq!(thinned(points.iter().copied(), 0.5), points);
        assert_eq!(thinned(std::iter::empty(), 1.0), []);
    }

    fn at(times: &[f64]) -> Vec<Point> {
        times.iter().map(|t| (*t, 1.0)).collect()
    }

    #[test]
    fn what_was_not_measured_is_a_gap() {
        let points = at(&[0.0, 2.0, 4.0, 104.0, 106.0, 206.0, 208.0]);
        let lengths: Vec<_> = stretches(&points, 0.1).iter().map(|part| part.len()).collect();
        assert_eq!(lengths, [3, 2, 2]);
    }

    #[test]
    fn another_spacing_is_no_gap() {
        for times in [
            &[0.0, 600.0, 1200.0, 1800.0, 1860.0, 1920.0, 1980.0][..],
            &[0.0, 0.2, 0.4, 0.6, 15.0, 30.0, 45.0],
            &[0.0, 1000.0],
            &[5.0],
        ] {
            assert_eq!(stretches(&at(times), 0.1).len(), 1, "{times:?}");
        }
        assert!(stretches(&[], 1.0).is_empty());
    }

    #[test]
    fn a_gap_that_nobody_could_see_is_none() {
        let points = at(&[0.0, 2.0, 4.0, 104.0, 106.0, 108.0]);
        assert_eq!(stretches(&points, 50.0).len(), 1);
    }
}
