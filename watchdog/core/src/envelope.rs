//! One time scale of the series: twelve buckets whose minima are the lower envelope.
//!
//! Statistic: the minimum of each bucket. A collector's saw-tooth, a batch or a request's working memory goes up and
//! comes back within a bucket, a leak does not. Not the mean: it follows every burst.

use std::collections::VecDeque;

use crate::trend::Point;

/// Buckets in a window. Twelve give 66 pairwise slopes: enough for 95 % bounds, cheap enough to do on every bucket.
pub const BUCKETS: usize = 12;

#[derive(Clone, Copy, Debug)]
struct Bucket {
    index: i64,
    min: f64,
    max: f64,
    at: f64,
}

/// The envelope over one window length.
#[derive(Clone, Debug)]
pub struct Envelope {
    window: f64,
    buckets: VecDeque<Bucket>,
    open: Option<Bucket>,
    record: f64,
    first: Option<f64>,
}

impl Envelope {
    /// An empty envelope over `window` seconds.
    pub fn new(window: f64) -> Self {
        Self {
            window,
            buckets: VecDeque::with_capacity(BUCKETS),
            open: None,
            record: 0.0,
            first: None,
        }
    }

    /// The window's length in seconds.
    pub fn window(&self) -> f64 {
        self.window
    }

    /// Takes one value; true when it closed a bucket, which is when the envelope has news.
    pub fn push(&mut self, t: f64, bytes: f64) -> bool {
        self.first.get_or_insert(t);
        let index = (t / (self.window / BUCKETS as f64)).floor() as i64;
        if let Some(open) = &mut self.open
            && open.index == index
        {
            if bytes < open.min {
                (open.min, open.at) = (bytes, t);
            }
            open.max = open.max.max(bytes);
            return false;
        }
        let closed = self.open.replace(Bucket { index, min: bytes, max: bytes, at: t });
        if let Some(closed) = closed {
            self.buckets.push_back(closed);
        }
        while self.buckets.front().is_some_and(|old| old.index < index - BUCKETS as i64) {
            if let Some(old) = self.buckets.pop_front() {
                self.record = self.record.max(old.max);
            }
        }
        closed.is_some()
    }

    /// The closed buckets' minima, oldest first, once they cover the window: `None` while it is not full or when
    /// more than a third of the buckets saw no sample.
    pub fn points(&self) -> Option<Vec<Point>> {
        let (first, last) = (self.buckets.front()?, self.buckets.back()?);
        let covered = last.index - first.index + 1;
        if covered < BUCKETS as i64 || self.buckets.len() < BUCKETS * 2 / 3 {
            return None;
        }
        Some(self.buckets.iter().map(|b| Point { t: b.at, bytes: b.min }).collect())
    }

    /// Whether the series was watched for at least another window before this one: growth seen from the first
    /// moment on cannot be told from filling up.
    pub fn has_past(&self, t: f64) -> bool {
        self.first.is_some_and(|first| t - first >= 2.0 * self.window)
    }

    /// The highest value seen before the window began; zero when nothing is that old.
    pub fn record_before(&self) -> f64 {
        self.record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saw_tooth_has_a_flat_envelope() {
        let mut envelope = Envelope::new(12.0);
        for i in 0..1300 {
            let t = f64::from(i) * 0.01;
            envelope.push(t, 100.0 + (t * 10.0) % 7.0);
        }
        let points = envelope.points().expect("full");
        assert!(points.iter().all(|p| p.bytes < 101.0), "{points:?}");
    }

    #[test]
    fn a_window_that_is_not_full_says_nothing() {
        let mut envelope = Envelope::new(12.0);
        for t in 0..12 {
            envelope.push(f64::from(t), 1.0);
            assert_eq!(envelope.points(), None, "at {t}");
        }
        envelope.push(12.0, 1.0);
        assert!(envelope.points().is_some());
    }

    #[test]
    fn a_long_gap_empties_the_window() {
        let mut envelope = Envelope::new(12.0);
        for t in 0..20 {
            envelope.push(f64::from(t), 5.0);
        }
        envelope.push(500.0, 1.0);
        assert_eq!(envelope.points(), None);
        assert_eq!(envelope.record_before(), 5.0);
    }

    #[test]
    fn memory_is_bounded() {
        let mut envelope = Envelope::new(12.0);
        for t in 0..100_000 {
            envelope.push(f64::from(t) * 0.37, 1.0);
        }
        assert!(envelope.buckets.len() <= BUCKETS + 1);
    }
}
