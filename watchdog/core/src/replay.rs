//! Replays a recorded series through the detector that watches live ones.
//!
//! Causal by construction: samples go in one by one, and an alarm's figures are those of the assessment that raised it.

use serde::{Deserialize, Serialize};

use crate::detector::{Assessment, Detector, DetectorConfig, Level};
use crate::forecast::Forecast;
use crate::sample::Sample;
use crate::units::Moment;
use crate::verdict::Kind;

/// Alarms kept of one series, the first ones; a series that raises more has said enough.
const MAX_ALARMS: usize = 10_000;

/// One alarm: from the sample that raised it to the sample at which its level was left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// When it was raised.
    pub start: Moment,
    /// When it ended; the last sample's time if it was on until then.
    pub end: Moment,
    /// Suspect, leak or imminent; never calm.
    pub output: Level,
    /// The kind of growth as it was called when the alarm was raised.
    pub kind: Kind,
    /// The kind as it was called last while the alarm was on.
    pub final_kind: Kind,
    /// The forecast as it was when the alarm was raised.
    pub forecast: Option<Forecast>,
}

/// What the detector said of one series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Replay {
    /// Samples that went in.
    pub samples: u64,
    /// Seconds from the first sample to the last.
    pub span: f64,
    /// The kind called at the worst alarm, or at the end of a series without one.
    pub verdict: Kind,
    /// In the order of their start.
    pub alarms: Vec<Alarm>,
}

/// Takes the samples of one series in their order.
#[derive(Clone, Debug)]
pub struct Replayer {
    detector: Detector,
    replay: Replay,
    first: Option<Moment>,
    last: Option<Assessment>,
    /// The open alarm of each output, as an index into the alarms.
    open: [Option<usize>; Level::ALL.len()],
}

impl Replayer {
    /// A replayer that has seen nothing.
    pub fn new(config: DetectorConfig) -> Self {
        Self {
            detector: Detector::new(config),
            replay: Replay::default(),
            first: None,
            last: None,
            open: [None; Level::ALL.len()],
        }
    }

    /// Takes one sample; returns what was concluded from it and all before.
    pub fn observe(&mut self, sample: &Sample) -> &Assessment {
        let seen = self.detector.observe(sample);
        self.replay.samples += 1;
        self.first.get_or_insert(sample.at);
        for output in [Level::Suspect, Level::Leak, Level::Imminent] {
            self.track(output, &seen);
        }
        self.last.insert(seen)
    }

    /// An output's alarm is raised when the level is exactly that output, and stays while the level is not below it:
    /// a leak that becomes imminent is still a leak.
    fn track(&mut self, output: Level, seen: &Assessment) {
        let open = &mut self.open[output as usize];
        match open {
            Some(_) if seen.level < output => *open = None,
            Some(index) => {
                if let Some(alarm) = self.replay.alarms.get_mut(*index) {
                    (alarm.end, alarm.final_kind) = (seen.at, seen.verdict.kind);
                }
            }
            None if seen.level == output && self.replay.alarms.len() < MAX_ALARMS => {
                *open = Some(self.replay.alarms.len());
                self.replay.alarms.push(Alarm {
                    start: seen.at,
                    end: seen.at,
                    output,
                    kind: seen.verdict.kind,
                    final_kind: seen.verdict.kind,
                    forecast: seen.forecast,
                });
            }
            None => {}
        }
    }

    /// The whole replay.
    pub fn finish(mut self) -> Replay {
        let worst = self.replay.alarms.iter().max_by_key(|alarm| alarm.output);
        let at_end = self.last.as_ref();
        self.replay.verdict = worst
            .map(|alarm| alarm.final_kind)
            .or_else(|| at_end.map(|last| last.verdict.kind))
            .unwrap_or_default();
        self.replay.span = self.first.zip(at_end).map_or(0.0, |(first, last)| last.at.since(first));
        self.replay
    }
}
