//! One time scale of the series: twelve buckets whose minima are the lower envelope.
//!
//! Statistic: the minimum of each bucket. A collector's saw-tooth, a batch or a request's working memory goes up and
//! comes back within a bucket, a leak does not. Not the mean: it follows every burst.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::trend::Point;

/// Buckets in a window. Twelve give 66 pairwise slopes: enough for 95 % bounds, cheap enough to do on every bucket.
pub const BUCKETS: usize = 12;

/// Buckets that must hold a sample for the window to speak: with fewer than eight the bounds span everything, and
/// where samples are rarer than buckets a longer window speaks instead.
const NEEDED: usize = BUCKETS * 2 / 3;

/// What one bucket saw.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// Its number on the time axis: time over width.
    pub index: i64,
    /// Lowest value.
    pub min: f64,
    /// When it was lowest.
    pub at: f64,
    /// Highest value.
    pub max: f64,
    /// Mean load, where every sample had one.
    pub load: Option<f64>,
    samples: u32,
}

/// The envelope over one window length.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Envelope {
    window: f64,
    buckets: VecDeque<Bucket>,
    open: Option<Bucket>,
    first: Option<f64>,
}

impl Envelope {
    /// An empty envelope over `window` seconds.
    pub fn new(window: f64) -> Self {
        Self { window, buckets: VecDeque::with_capacity(BUCKETS), open: None, first: None }
    }

    /// The window's length in seconds.
    pub fn window(&self) -> f64 {
        self.window
    }

    /// Takes one value; true when it closed a bucket, which is when the envelope has news. Buckets that leave the
    /// window go to `left`.
    pub fn push(
        &mut self,
        t: f64,
        bytes: f64,
        load: Option<f64>,
        mut left: impl FnMut(&Bucket),
    ) -> bool {
        self.first.get_or_insert(t);
        let index = (t * BUCKETS as f64 / self.window).floor() as i64;
        if let Some(open) = &mut self.open
            && open.index == index
        {
            open.take(t, bytes, load);
            return false;
        }
        let bucket = Bucket { index, min: bytes, at: t, max: bytes, load, samples: 1 };
        let closed = self.open.replace(bucket);
        self.buckets.extend(closed);
        while self.buckets.front().is_some_and(|old| old.index < index - BUCKETS as i64) {
            if let Some(old) = self.buckets.pop_front() {
                left(&old);
            }
        }
        closed.is_some()
    }

    /// The closed buckets, oldest first, once enough of the window's twelve hold a sample.
    pub fn full(&self) -> Option<&VecDeque<Bucket>> {
        (self.buckets.len() >= NEEDED).then_some(&self.buckets)
    }

    /// All closed buckets, oldest first.
    pub fn buckets(&self) -> impl Iterator<Item = &Bucket> + Clone {
        self.buckets.iter()
    }

    /// Seconds since the first value.
    pub fn watched(&self, t: f64) -> f64 {
        self.first.map_or(0.0, |first| t - first)
    }

    /// Forgets everything, as a new process has begun.
    pub fn clear(&mut self) {
        *self = Self::new(self.window);
    }
}

impl Bucket {
    fn take(&mut self, t: f64, bytes: f64, load: Option<f64>) {
        if bytes < self.min {
            (self.min, self.at) = (bytes, t);
        }
        self.max = self.max.max(bytes);
        self.load = self
            .load
            .zip(load)
            .map(|(mean, load)| mean + (load - mean) / f64::from(self.samples.saturating_add(1)));
        self.samples = self.samples.saturating_add(1);
    }

    /// The point of the lower envelope.
    pub fn low(&self) -> Point {
        Point { t: self.at, bytes: self.min }
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
            envelope.push(t, 100.0 + (t * 10.0) % 7.0, None, |_| {});
        }
        let buckets = envelope.full().expect("full");
        assert_eq!(buckets.len(), BUCKETS);
        assert!(buckets.iter().all(|b| b.min < 100.2 && b.max > 106.0), "{buckets:?}");
    }

    #[test]
    fn a_window_with_too_few_buckets_says_nothing() {
        let mut envelope = Envelope::new(12.0);
        for t in 0..8 {
            envelope.push(f64::from(t), 1.0, None, |_| {});
        }
        assert!(envelope.full().is_none());
        envelope.push(100.0, 1.0, None, |_| {});
        assert!(envelope.full().is_none(), "a gap empties the window");
    }

    #[test]
    fn what_leaves_the_window_is_handed_on() {
        let mut envelope = Envelope::new(12.0);
        let mut left = Vec::new();
        for t in 0..20 {
            envelope.push(f64::from(t), f64::from(t), None, |old| left.push(old.max));
        }
        assert_eq!(left, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }

    #[test]
    fn the_load_of_a_bucket_is_its_mean_or_unknown() {
        let mut bucket =
            Bucket { index: 0, min: 1.0, at: 0.0, max: 1.0, load: Some(1.0), samples: 1 };
        bucket.take(0.1, 1.0, Some(3.0));
        assert_eq!(bucket.load, Some(2.0));
        bucket.take(0.2, 1.0, None);
        assert_eq!(bucket.load, None);
    }
}
