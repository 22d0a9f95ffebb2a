//! Readings of a counter in, requests a second out.

use watchdog_core::units::Moment;

/// Seconds between two readings. Metrics are made to be read this often, and memory follows the load more slowly.
pub const INTERVAL: f64 = 15.0;
/// Seconds after which the last rate says nothing of the present any more, and over which two readings give no rate:
/// two failed readings in a row are bridged, more are a gap.
const STALE: f64 = 3.0 * INTERVAL;

/// The rate of one counter.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rate {
    /// When, and how many requests by then.
    read: Option<(Moment, f64)>,
    /// When, and how many a second up to then.
    rate: Option<(Moment, f64)>,
}

impl Rate {
    /// Takes a reading. A counter that fell was started anew: what it had reached before is not known, so that the
    /// rate is only known again after the next reading.
    pub fn read(&mut self, at: Moment, total: f64) {
        let before = self.read.replace((at, total));
        self.rate = before.and_then(|(then, before)| {
            let seconds = at.since(then);
            let known = seconds > 0.0 && seconds <= STALE && total >= before;
            known.then(|| (at, (total - before) / seconds))
        });
    }

    /// Requests a second at this moment, `None` while they are not known.
    pub fn at(&self, now: Moment) -> Option<f64> {
        self.rate.and_then(|(at, rate)| (now.since(at) <= STALE).then_some(rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(readings: &[(f64, f64)]) -> Option<f64> {
        let mut rate = Rate::default();
        readings.iter().for_each(|(at, total)| rate.read(Moment(*at), *total));
        rate.at(Moment(readings.last().expect("a reading").0))
    }

    #[test]
    fn two_readings_make_a_rate_and_one_makes_none() {
        assert_eq!(rate(&[(100.0, 5000.0)]), None);
        assert_eq!(rate(&[(100.0, 5000.0), (115.0, 5300.0)]), Some(20.0));
        assert_eq!(rate(&[(100.0, 5000.0), (115.0, 5000.0)]), Some(0.0), "idle is known");
    }

    #[test]
    fn a_restart_is_a_gap_of_one_reading() {
        assert_eq!(rate(&[(0.0, 900.0), (15.0, 1200.0), (30.0, 60.0)]), None);
        assert_eq!(rate(&[(0.0, 900.0), (15.0, 1200.0), (30.0, 60.0), (45.0, 120.0)]), Some(4.0));
    }

    #[test]
    fn failed_readings_are_bridged_for_a_while() {
        assert_eq!(rate(&[(0.0, 0.0), (45.0, 90.0)]), Some(2.0));
        assert_eq!(rate(&[(0.0, 0.0), (46.0, 90.0)]), None, "an old past says nothing");
        assert_eq!(rate(&[(5.0, 0.0), (5.0, 90.0)]), None, "no time passed");
    }

    #[test]
    fn the_last_rate_holds_for_three_intervals() {
        let mut rate = Rate::default();
        rate.read(Moment(0.0), 0.0);
        rate.read(Moment(15.0), 30.0);
        assert_eq!(rate.at(Moment(60.0)), Some(2.0));
        assert_eq!(rate.at(Moment(60.1)), None);
    }
}
