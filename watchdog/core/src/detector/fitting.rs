//! What was learned of the workload, for rules that judge it from outside.
//!
//! The levels come from the records, which reach over two weeks and over processes that follow each other. How much the
//! workload moves by itself comes from the history of a week, by ranks: a restart or a kill now and then is among the
//! twentieth that does not count.

use crate::detector::{Detector, Window};
use crate::envelope::BUCKETS;
use crate::fit::{Fit, Scale};
use crate::history::Row;
use crate::units::Bytes;

/// Windows of 68 min, 4.6 h and 18 h. Below them an exporter that is read once a minute has no twelve buckets; above
/// them it takes more than the history's week to learn anything.
const POWERS: [u32; 3] = [12, 14, 16];
/// Buckets from which a scale is learned: two windows, one to compare and one to compare it with.
const ENOUGH: usize = 2 * BUCKETS;
/// Rows that a bucket has at least, of those that reach back furthest.
const ROWS: f64 = 2.0;
/// Share of moves and peaks that are no larger than what is learned.
const USUAL: f64 = 0.95;

impl Detector {
    /// What is learned by now. Not while a leak is suspected: it would be learned as well.
    pub fn fit(&self) -> Fit {
        let Some((first, last)) = self.history.span() else { return Fit::default() };
        let scale = |power: &u32| {
            let window = self.windows.get(*power as usize)?;
            self.scale(window)
        };
        Fit { watched: last.since(first), scales: POWERS.iter().filter_map(scale).collect() }
    }

    fn scale(&self, window: &Window) -> Option<Scale> {
        let width = window.seconds() / BUCKETS as f64;
        let buckets = buckets(self.history.spaced(width / ROWS), width);
        if buckets.len() < ENOUGH {
            return None;
        }
        let (lowest, highest) = window.lived()?;
        let record = highest.max(self.warm_up_peak.as_f64()).max(self.refuted.unwrap_or(0.0));
        let steps = buckets.windows(2).filter(|pair| pair[1].index == pair[0].index + 1);
        let mut steps: Vec<f64> = steps.map(|pair| (pair[1].low - pair[0].low).abs()).collect();
        let mut swings: Vec<f64> = buckets.iter().map(|bucket| bucket.high - bucket.low).collect();
        let bytes = |value: f64| Bytes(value as u64);
        Some(Scale {
            window: window.seconds(),
            lowest: bytes(lowest),
            record: bytes(record),
            step: bytes(usual(&mut steps)?),
            swing: bytes(usual(&mut swings)?),
        })
    }
}

#[derive(Clone, Copy)]
struct Bucket {
    index: i64,
    low: f64,
    high: f64,
}

/// The lowest and highest row of each bucket of `width` seconds that is over.
fn buckets(rows: impl Iterator<Item = Row>, width: f64) -> Vec<Bucket> {
    let mut buckets: Vec<Bucket> = Vec::new();
    for row in rows {
        let (index, value) = ((row.at.0 / width).floor() as i64, row.unreclaimable.as_f64());
        match buckets.last_mut() {
            Some(last) if last.index == index => {
                (last.low, last.high) = (last.low.min(value), last.high.max(value));
            }
            _ => buckets.push(Bucket { index, low: value, high: value }),
        }
    }
    buckets.pop();
    buckets
}

/// The value that [`USUAL`] of them do not exceed; `None` for none.
fn usual(values: &mut [f64]) -> Option<f64> {
    let rank = (values.len() as f64 * USUAL) as usize;
    let last = values.len().checked_sub(1)?;
    Some(*values.select_nth_unstable_by(rank.min(last), f64::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detector::DetectorConfig;
    use crate::sample::{Memory, Sample};
    use crate::units::Moment;

    const MIB: f64 = 1024.0 * 1024.0;

    /// `mib` at each half minute for so many hours.
    fn watched(hours: f64, mib: impl Fn(f64) -> f64) -> Detector {
        let mut detector = Detector::new(DetectorConfig::default());
        observe(&mut detector, 0.0, hours, mib);
        detector
    }

    fn observe(detector: &mut Detector, from: f64, hours: f64, mib: impl Fn(f64) -> f64) {
        for i in 0..(hours * 120.0) as u32 {
            let t = f64::from(i) * 30.0;
            detector.observe(&Sample {
                at: Moment(from * 3600.0 + t),
                age: t,
                memory: Memory { anon: Bytes((mib(t) * MIB) as u64), ..Memory::default() },
                limit: Some(Bytes::from_mib(1024)),
                ..Sample::default()
            });
        }
    }

    fn windows(fit: &Fit) -> Vec<f64> {
        fit.scales.iter().map(|scale| scale.window).collect()
    }

    fn near(bytes: Bytes, mib: f64) -> bool {
        (bytes.as_f64() / MIB - mib).abs() <= 1.0
    }

    #[test]
    fn nothing_is_learned_before_two_windows_have_passed() {
        let flat = |_: f64| 100.0;
        for (hours, learned) in
            [(0.0, 0), (2.0, 0), (2.5, 1), (9.0, 1), (10.0, 2), (36.0, 2), (37.5, 3)]
        {
            assert_eq!(watched(hours, flat).fit().scales.len(), learned, "{hours} h");
        }
        assert_eq!(windows(&watched(40.0, flat).fit()), [4096.0, 16_384.0, 65_536.0]);
    }

    #[test]
    fn a_saw_tooth_within_a_bucket_is_swing_and_no_step() {
        // Five minutes up by 40 MiB, ten times an hour down; buckets of 5 min 41 s see it whole.
        let fit = watched(8.0, |t| 100.0 + (t % 300.0) / 300.0 * 40.0).fit();
        let scale = fit.scales[0];
        assert!(near(scale.record, 100.0) && near(scale.lowest, 100.0), "{scale:?}");
        assert!(scale.step.as_f64() < 5.0 * MIB, "{scale:?}");
        assert!((30.0..=40.0).contains(&(scale.swing.as_f64() / MIB)), "{scale:?}");
    }

    #[test]
    fn a_wave_longer_than_the_window_is_the_record() {
        let day = 86_400.0 / std::f64::consts::TAU;
        let fit = watched(72.0, |t| 300.0 - 100.0 * (t / day).cos()).fit();
        for scale in &fit.scales {
            assert!(scale.record.as_f64() > 380.0 * MIB, "{scale:?}");
            assert!(scale.lowest.as_f64() < 220.0 * MIB, "{scale:?}");
        }
    }

    #[test]
    fn a_restart_moves_the_record_and_not_what_is_usual() {
        let mut detector = watched(8.0, |_| 300.0);
        observe(&mut detector, 8.0, 4.0, |t| 300.0 * (t / 600.0).min(1.0));
        let scale = detector.fit().scales[0];
        assert!(near(scale.record, 300.0), "{scale:?}");
        assert!(near(scale.step, 0.0) && near(scale.swing, 0.0), "{scale:?}");
    }

    #[test]
    fn what_a_killed_process_rose_to_is_not_learned() {
        let mut detector = watched(8.0, |_| 300.0);
        observe(&mut detector, 8.0, 1.0, |t| 300.0 + t / 5.0);
        detector.end_segment(Some(true));
        observe(&mut detector, 9.0, 4.0, |_| 100.0);
        let record = detector.fit().scales[0].record;
        assert!(record.as_f64() < 400.0 * MIB, "{record}");
    }
}
