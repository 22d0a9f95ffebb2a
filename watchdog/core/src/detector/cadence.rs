//! When to look again: often when the limit is near or memory moves fast, seldom when there is time.

use crate::detector::DetectorConfig;
use crate::units::{Bytes, Moment};

/// Samples wanted within the time in which the worst plausible rate fills the headroom. Twelve buckets need a sample
/// each before a trend is known; the rest is for the message.
const SAMPLES_PER_RUNWAY: f64 = 16.0;
/// Growth may speed up by this factor between two looks.
const SPEED_UP: f64 = 4.0;
/// Shortest pause: reading costs tens of microseconds, so 20 ms is 0.3 % of a core, and only while it is dangerous.
const MIN_INTERVAL: f64 = 0.02;
/// The observed rate is forgotten with this time constant, in seconds.
const FORGET: f64 = 5.0;

/// The fastest growth seen lately.
#[derive(Clone, Copy, Debug, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Cadence {
    last: Option<(Moment, Bytes)>,
    rate: f64,
}

impl Cadence {
    pub(super) fn observe(&mut self, at: Moment, used: Bytes) {
        if let Some((then, before)) = self.last {
            let dt = at.since(then);
            if dt <= 0.0 {
                return;
            }
            let seen = (used.as_f64() - before.as_f64()) / dt;
            self.rate = seen.max(self.rate * (-dt / FORGET).exp());
        }
        self.last = Some((at, used));
    }

    pub(super) fn next(&self, used: Bytes, limit: Option<Bytes>, config: &DetectorConfig) -> f64 {
        let Some(limit) = limit else { return config.max_interval.min(1.0) };
        let worst = config.worst_rate.max(self.rate * SPEED_UP);
        let runway = (limit - used).as_f64() / worst;
        (runway / SAMPLES_PER_RUNWAY).clamp(MIN_INTERVAL, config.max_interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Option<Bytes> = Some(Bytes::from_mib(256));

    #[test]
    fn it_looks_seldom_when_there_is_time_and_often_when_there_is_none() {
        let config = DetectorConfig::default();
        let mut cadence = Cadence::default();
        cadence.observe(Moment(0.0), Bytes::from_mib(20));
        let calm = cadence.next(Bytes::from_mib(20), LIMIT, &config);
        assert!((0.15..0.3).contains(&calm), "{calm}");
        cadence.observe(Moment(0.25), Bytes::from_mib(45));
        assert!(cadence.next(Bytes::from_mib(45), LIMIT, &config) < calm / 4.0);
        assert_eq!(cadence.next(Bytes::from_mib(255), LIMIT, &config), MIN_INTERVAL);
    }

    #[test]
    fn a_large_limit_is_sampled_slowly() {
        let limit = Some(Bytes::from_mib(64 * 1024));
        let pause = Cadence::default().next(Bytes(0), limit, &DetectorConfig::default());
        assert_eq!(pause, 15.0);
    }

    #[test]
    fn a_burst_is_forgotten() {
        let mut cadence = Cadence::default();
        cadence.observe(Moment(0.0), Bytes(0));
        cadence.observe(Moment(1.0), Bytes::from_mib(100));
        for i in 2..60 {
            cadence.observe(Moment(f64::from(i)), Bytes::from_mib(100));
        }
        assert!(cadence.rate < 1024.0, "{}", cadence.rate);
    }
}
