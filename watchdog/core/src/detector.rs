//! Samples in, assessments out: how dangerous it is, what kind it is, when it ends, when to look again.
//!
//! A leak of 50 MB/s and one of 0.5 % an hour must both be seen at their own scale, so windows run side by side, each
//! twice as long as the one before, from one second to twelve days. A window speaks of a leak only when all of this
//! holds: the lower envelope rises ([`crate::trend`]), it is still climbing at its end and does not approach a level
//! below the limit ([`crate::saturation`]), it is above the workload's own record ([`crate::record`]), the load does
//! not explain it ([`crate::load`]), it is a material share of the limit, and at this pace the limit is near compared
//! with how long we have watched. Each condition alone is known to fire on innocents.

mod cadence;
mod cause;
mod fitting;
mod grade;
mod window;

use serde::{Deserialize, Serialize};

use crate::forecast::Forecast;
use crate::history::History;
use crate::load::Explained;
use crate::net::SafetyNet;
use crate::sample::Sample;
use crate::trend::Trend;
use crate::units::{Bytes, Moment};
use crate::verdict::{Kind, Verdict};
use grade::Graded;
use window::{Circumstances, Window};

/// How dangerous it is. People are told from `Leak` on.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing that speaks for a leak.
    #[default]
    Calm,
    /// A trend; profiles are taken, nobody is told.
    Suspect,
    /// A leak by all conditions; people are told.
    Leak,
    /// The kill is near; tell and capture now.
    Imminent,
}

impl Level {
    /// Every level, for exhaustive metrics.
    pub const ALL: [Self; 4] = [Self::Calm, Self::Suspect, Self::Leak, Self::Imminent];

    /// The word used in metrics, JSON and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Suspect => "suspect",
            Self::Leak => "leak",
            Self::Imminent => "imminent",
        }
    }
}

/// What is concluded after one sample.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Assessment {
    /// When, on the sampling clock.
    pub at: Moment,
    /// How dangerous.
    pub level: Level,
    /// What kind of growth.
    pub verdict: Verdict,
    /// The trend of the window that speaks, or of the longest full one.
    pub trend: Option<Trend>,
    /// When the limit is hit at that trend.
    pub forecast: Option<Forecast>,
    /// What counts against the limit.
    pub used: Bytes,
    /// The limit.
    pub limit: Option<Bytes>,
    /// Seconds after which the next sample should be taken.
    pub next_sample_in: f64,
}

/// What may be set from outside.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DetectorConfig {
    /// Seconds after the process's start in which only the safety net speaks: filling up is not leaking.
    pub warm_up: f64,
    /// Longest pause between two samples, in seconds.
    pub max_interval: f64,
    /// Fastest leak that must still be seen early, in bytes per second; it sets the pace of sampling.
    pub worst_rate: f64,
}

impl Default for DetectorConfig {
    fn default() -> Self {
        Self { warm_up: 10.0, max_interval: 15.0, worst_rate: 64.0 * 1024.0 * 1024.0 }
    }
}

/// Shortest window in seconds. Below it the sampling interval (20 ms at least) is no longer small against a bucket.
const SHORTEST_WINDOW: f64 = 1.0;
/// 1 s · 2^20 = 12 days: below its buckets of a day even a daily wave is flat.
const WINDOWS: usize = 21;
/// A level holds for this share of its window after its conditions ceased, so that one bucket does not end an incident.
const HOLD_SHARE: f64 = 0.5;
const HOLD_MIN_SECONDS: f64 = 10.0;
/// A verdict at an unchanged level is worded anew after this share of its window, and this many seconds at least.
const VERDICT_SHARE: f64 = 1.0 / 24.0;
const VERDICT_SECONDS: f64 = 1.0;
/// Growth that fills up on one time scale is filling up on those down to this many times shorter.
const FILLING_SCALES: f64 = 4.0;
/// Where no process id says so, a fall from this share of the limit to about the lowest that this process ever used is
/// a kill and a restart. A collector's fall ends above it.
const KILLED_AT: f64 = 0.90;
const FELL_TO: f64 = 0.60;
const ABOUT_LOWEST: f64 = 1.25;
/// Samples at the start of a process that do not count for its lowest: it was only just mapped.
const STARTING_SAMPLES: u32 = 8;

/// The detector of one workload: its present process, and what is remembered of those before.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Detector {
    #[serde(skip)]
    config: DetectorConfig,
    windows: Vec<Window>,
    history: History,
    cadence: cadence::Cadence,
    net: SafetyNet,
    /// The highest value of the warm-up: no window sees it, but what stays below it is no new high.
    warm_up_peak: Bytes,
    last: Option<Last>,
    /// Since when a window has spoken of a leak without a break.
    leak_since: Option<Moment>,
    /// The highest use, in bytes, while a leak is told of.
    told: Option<f64>,
    /// The same of a leak that ended without a kill.
    refuted: Option<f64>,
    held: Option<(Level, Moment)>,
    said: Option<(Moment, Level, Verdict)>,
}

/// What is remembered of the last sample and those before it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Last {
    age: f64,
    used: Bytes,
    limit: Option<Bytes>,
    /// The lowest use since the process had started.
    lowest: Bytes,
    samples: u32,
}

impl Last {
    fn was_full(self) -> bool {
        self.limit.is_some_and(|limit| self.used.fraction_of(limit) >= KILLED_AT)
    }
}

impl Detector {
    /// A detector that has seen nothing.
    pub fn new(config: DetectorConfig) -> Self {
        Self {
            config,
            windows: (0..WINDOWS)
                .map(|power| Window::new(SHORTEST_WINDOW * f64::from(1u32 << power)))
                .collect(),
            history: History::default(),
            cadence: cadence::Cadence::default(),
            net: SafetyNet::default(),
            warm_up_peak: Bytes(0),
            last: None,
            leak_since: None,
            told: None,
            refuted: None,
            held: None,
            said: None,
        }
    }

    /// The series so far, for plots.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// A detector that was restored from a file, with its settings, which are not part of it; `None` when its windows
    /// are not those of this version.
    pub fn restored(self, config: DetectorConfig) -> Option<Self> {
        let fresh = Self::new(config);
        let same = |(one, other): (&Window, &Window)| one.seconds() == other.seconds();
        let fits = self.windows.len() == fresh.windows.len()
            && self.windows.iter().zip(&fresh.windows).all(same);
        fits.then_some(Self { config, ..self })
    }

    /// The process has ended and the next sample is another's. What a killed process rose to is no level that the
    /// workload can live at, so it is not remembered. Where nobody saw the end (`None`), a process that was nearly full
    /// when last seen is taken to have been killed.
    pub fn end_segment(&mut self, killed: Option<bool>) {
        let killed = killed.unwrap_or_else(|| self.last.is_some_and(Last::was_full));
        for window in &mut self.windows {
            window.end_segment(killed);
        }
        self.net.clear();
        self.warm_up_peak = Bytes(0);
        (self.last, self.leak_since, self.held, self.said) = (None, None, None, None);
        self.told = None;
        if killed {
            self.refuted = None;
        }
    }

    /// Takes one sample and says what is known now. Samples must come in the order of their `at`.
    pub fn observe(&mut self, sample: &Sample) -> Assessment {
        let used = sample.used();
        self.break_at_restart(sample, used);
        self.history.push(sample);
        self.cadence.observe(sample.at, used);
        if sample.age >= self.config.warm_up {
            self.update_windows(sample, used);
        } else {
            self.warm_up_peak = self.warm_up_peak.max(used);
        }
        let graded = self.grade(sample.at, used, sample.limit);
        let level = self.hold(sample.at, &graded);
        self.remember(level, used);
        let verdict = self.verdict(sample, level, &graded);
        let next_sample_in = self.cadence.next(used, sample.limit, &self.config);
        Assessment {
            at: sample.at,
            level,
            verdict,
            trend: graded.finding.map(|finding| finding.trend),
            forecast: graded.forecast(self.windows.iter().filter_map(Window::finding)),
            used,
            limit: sample.limit,
            next_sample_in,
        }
    }

    /// A younger process, or a fall that only a kill explains, begins a new segment; another limit forgets what was
    /// told of the old one.
    fn break_at_restart(&mut self, sample: &Sample, used: Bytes) {
        if let Some(last) = self.last {
            let to = (last.used.as_f64() * FELL_TO).min(last.lowest.as_f64() * ABOUT_LOWEST);
            let fell = used.as_f64() <= to;
            if sample.age < last.age || (last.was_full() && fell) {
                self.end_segment(None);
            } else if last.limit != sample.limit {
                self.net.clear();
                (self.leak_since, self.held, self.refuted) = (None, None, None);
            }
        }
        let samples = self.last.map_or(0, |last| last.samples).saturating_add(1);
        let lowest = self.last.filter(|_| samples > STARTING_SAMPLES).map(|last| last.lowest);
        self.last = Some(Last {
            age: sample.age,
            used,
            limit: sample.limit,
            lowest: lowest.map_or(used, |lowest| lowest.min(used)),
            samples,
        });
    }

    fn update_windows(&mut self, sample: &Sample, used: Bytes) {
        let circumstances = Circumstances {
            used,
            limit: sample.limit,
            floor: self.warm_up_peak.as_f64(),
            refuted: self.refuted,
            history: &self.history,
        };
        // The longest window that is full is the one to report where nothing rises.
        let longest = self.windows.iter().rposition(Window::is_full);
        for (index, window) in self.windows.iter_mut().enumerate() {
            let report = longest.is_none_or(|longest| index >= longest);
            window.observe(sample.at, sample.load, &circumstances, report);
        }
    }

    /// The highest level that any window or the safety net speaks for, with the finding to show for it.
    fn grade(&mut self, at: Moment, used: Bytes, limit: Option<Bytes>) -> Graded {
        let mut best = Graded::default();
        // From the longest down: what slows down on a longer scale is filling up, however straight it looks on a shorter.
        let mut fills_until = 0.0;
        for window in self.windows.iter().rev() {
            let Some(finding) = window.finding() else { continue };
            if finding.saturating {
                fills_until = finding.window;
            }
            let fills = finding.window * FILLING_SCALES >= fills_until && fills_until > 0.0;
            let graded = grade::grade(finding, at, used, limit, fills);
            // Among equals the longest window wins: its slope is the least moved by a burst.
            if graded.level > best.level || best.finding.is_none() {
                best = graded;
            }
        }
        self.wait(at, &mut best);
        if self.net.observe(at, used, limit) {
            best.level = Level::Imminent;
        }
        best
    }

    /// A leak must speak for a while before it is told, the longer the further away the kill is.
    fn wait(&mut self, at: Moment, graded: &mut Graded) {
        if graded.level < Level::Leak {
            self.leak_since = None;
            return;
        }
        let since = *self.leak_since.get_or_insert(at);
        if graded.level == Level::Leak && at.since(since) < graded.patience {
            graded.level = Level::Suspect;
        }
    }

    fn hold(&mut self, at: Moment, graded: &Graded) -> Level {
        let window = graded.finding.map_or(0.0, |finding| finding.trend.window);
        let until = Moment(at.0 + (window * HOLD_SHARE).max(HOLD_MIN_SECONDS));
        match self.held {
            Some((held, end)) if graded.level < held && at < end => held,
            _ => {
                self.held = (graded.level > Level::Calm).then_some((graded.level, until));
                graded.level
            }
        }
    }

    /// A leak that was told of and ended without a kill was none: the workload lives at that level.
    fn remember(&mut self, level: Level, used: Bytes) {
        if level >= Level::Leak {
            self.told = Some(self.told.unwrap_or(0.0).max(used.as_f64()));
        } else if let Some(told) = self.told.take() {
            self.refuted = Some(self.refuted.unwrap_or(0.0).max(told));
        }
    }

    /// The verdict, worded anew when the level changed or some time has passed.
    fn verdict(&mut self, sample: &Sample, level: Level, graded: &Graded) -> Verdict {
        let window = graded.finding.map_or(0.0, |finding| finding.trend.window);
        if let Some((at, same, verdict)) = &self.said
            && *same == level
            && sample.at.since(*at) < (window * VERDICT_SHARE).max(VERDICT_SECONDS)
        {
            return verdict.clone();
        }
        let verdict = match graded.finding {
            Some(finding) if finding.explained == Explained::ByLoad && level < Level::Leak => {
                cause::by_load(&finding.trend)
            }
            Some(finding) if level > Level::Calm => {
                cause::of_growth(sample, &self.history, &finding.trend)
            }
            Some(finding) => cause::without_growth(sample, &self.history, &finding.trend),
            None => Verdict {
                kind: Kind::Undecided,
                sentence: "Not watched for long enough to say anything.".into(),
            },
        };
        self.said = Some((sample.at, level, verdict.clone()));
        verdict
    }
}

#[cfg(test)]
mod tests;
