//! What is counted: caught or missed, how early, how often for nothing, how right the kind and the interval are.

use watchdog_core::detector::{DetectorConfig, Level};
use watchdog_core::replay::{Alarm, Replayer};
use watchdog_core::sample::Sample;
use watchdog_core::verdict::Kind;

use crate::cost::thread_seconds;
use crate::generate::Truth;

/// A leak is caught when it is told this many seconds before the kill, or this share of its run-up.
const SPARE_SECONDS: f64 = 600.0;
const SPARE_SHARE: f64 = 0.1;

/// The detector's answer to one series, and what it cost.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What it raised.
    pub alarms: Vec<Alarm>,
    /// The kind of growth it called at the end.
    pub verdict: Kind,
    /// Seconds of processor time for all samples.
    pub seconds: f64,
}

/// Replays a series through the detector, timing it.
pub fn answer(samples: &[Sample]) -> Answer {
    let mut replayer = Replayer::new(DetectorConfig::default());
    let began = thread_seconds();
    for sample in samples {
        replayer.observe(sample);
    }
    let seconds = thread_seconds() - began;
    let replay = replayer.finish();
    Answer { alarms: replay.alarms, verdict: replay.verdict, seconds }
}

impl Answer {
    /// Times at which people were told, as (start, end).
    pub fn told(&self) -> Vec<(f64, f64)> {
        self.of(|level| level >= Level::Leak)
    }

    /// Alarms of one output, as (start, end).
    pub fn of(&self, wanted: impl Fn(Level) -> bool) -> Vec<(f64, f64)> {
        let of = self.alarms.iter().filter(|alarm| wanted(alarm.output));
        of.map(|alarm| (alarm.start.0, alarm.end.0)).collect()
    }

    /// The first alarm that told people of growth that began at `onset`.
    pub fn first(&self, onset: f64) -> Option<&Alarm> {
        self.alarms.iter().find(|alarm| alarm.output >= Level::Leak && alarm.end.0 >= onset)
    }
}

/// How one leak was told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Told {
    /// Seconds from the alarm to the kill; `None` when nobody was told.
    pub lead: Option<f64>,
    /// The lead as a share of the run-up, 0 when nobody was told.
    pub share: f64,
    /// Whether it was early enough to count.
    pub caught: bool,
}

/// Judges episodes, as (start, end) in order of their start, against a leak's truth.
pub fn told(episodes: &[(f64, f64)], onset: f64, kill: f64) -> Told {
    let first = episodes.iter().find(|(start, end)| *end >= onset && *start < kill);
    let lead = first.map(|(start, _)| kill - start.max(onset));
    let run_up = kill - onset;
    let needed = SPARE_SECONDS.min(run_up * SPARE_SHARE);
    Told {
        lead,
        share: lead.unwrap_or(0.0) / run_up,
        caught: lead.is_some_and(|lead| lead >= needed),
    }
}

/// Episodes that were for nothing: all of an innocent's, and of a leak's those that ended before it began.
pub fn false_alarms(episodes: &[(f64, f64)], truth: Truth) -> usize {
    match truth {
        Truth::Innocent => episodes.len(),
        Truth::Leak { onset, .. } => episodes.iter().filter(|(_, end)| *end < onset).count(),
    }
}

/// Whether the kill came within the interval that was told; `None` when none was.
pub fn interval_holds(alarm: &Alarm, kill: f64) -> Option<bool> {
    let forecast = alarm.forecast?;
    let after = kill - alarm.start.0;
    Some(forecast.low <= after && forecast.high.is_none_or(|high| after <= high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_the_run_up_or_ten_minutes_to_spare_is_caught() {
        assert!(told(&[(880.0, 1000.0)], 0.0, 1000.0).caught);
        assert!(!told(&[(950.0, 1000.0)], 0.0, 1000.0).caught);
        assert!(told(&[(99_000.0, 1e5)], 0.0, 1e5).caught, "ten minutes are enough");
        assert_eq!(told(&[], 0.0, 1000.0).lead, None);
    }

    #[test]
    fn an_alarm_that_ended_before_the_leak_began_is_for_nothing() {
        let truth = Truth::Leak { onset: 100.0, kill: 200.0, kind: Kind::HeapLeak };
        assert_eq!(false_alarms(&[(10.0, 20.0), (90.0, 150.0)], truth), 1);
        assert_eq!(told(&[(10.0, 20.0), (90.0, 150.0)], 100.0, 200.0).share, 1.0);
        assert_eq!(false_alarms(&[(10.0, 20.0)], Truth::Innocent), 1);
    }
}
