//! Samples in, assessments out: how dangerous it is, what kind it is, when it ends, when to look again.
//!
//! A leak of 50 MB/s and one of 0.5 % an hour must both be seen at their own scale, so eighteen windows run side by
//! side, each twice as long as the one before, from one second to a day and a half. A window speaks only when all of
//! this holds: the lower envelope rises (Theil–Sen, lower bound above zero), it rises nearly always (Kendall's tau),
//! it is still climbing at its end, it is above anything seen before, it is a material share of the limit, and at this
//! pace the limit is near compared with how long we have watched. The window must have a past of its own length. Each condition alone is known to fire on innocents.

mod cadence;
mod cause;

use serde::{Deserialize, Serialize};

use crate::envelope::Envelope;
use crate::forecast::{Forecast, forecast};
use crate::history::History;
use crate::sample::Sample;
use crate::trend::{Point, Trend, theil_sen};
use crate::units::{Bytes, Moment};
use crate::verdict::{Kind, Verdict};

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
/// 1 s · 2^17 = 36 h: a day's wave fits in the longest.
const WINDOWS: usize = 18;
/// Windows below this many seconds raise suspicion only: two seconds of growth are a burst more often than a leak.
const SHORTEST_LEAK_WINDOW: f64 = 4.0;
/// Windows up to this length count as short: on them a burst looks like a leak, but waiting costs most of the lead.
const SHORT_WINDOW: f64 = 64.0;
/// Growth in the window as a share of the limit; below it a leak can wait for a longer window.
const MATERIAL: f64 = 0.03;
/// A leak is told when the forecast is at most four windows away: no claim about the far future from a short past.
const LEAK_HORIZON: f64 = 4.0;
/// Suspicion looks four times as far, as being wrong costs one heap profile.
const SUSPECT_HORIZON: f64 = 16.0;
/// From this length on a day's wave looks like a leak while it rises.
const LONG_WINDOW: f64 = 3600.0;
/// Share of the limit in use before a leak is told. On short windows it bounds the lead to 60 % of the headroom; on
/// longer ones, where there is time, it waits for more: most innocents end below 60 %, a daily wave below 75 %.
const LEAK_GATE_SHORT: f64 = 0.40;
const LEAK_GATE_MIDDLE: f64 = 0.60;
const LEAK_GATE_LONG: f64 = 0.75;
/// A leak this near its end is imminent: two minutes is what a person needs to do anything at all.
const IMMINENT_SECONDS: f64 = 120.0;
/// Growth that is only suspicious but hits the limit this soon is told at once when more than half is used:
/// there will be no later chance.
const LAST_CHANCE_SECONDS: f64 = 10.0;
const LAST_CHANCE_GATE: f64 = 0.50;
/// The safety net: this share of the limit for a minute is told whatever the trend. It is the best cheap rule known.
const NET_SHARE: f64 = 0.90;
const NET_SECONDS: f64 = 60.0;
/// A level holds for this share of its window after its conditions ceased, so that one bucket does not end an incident.
const HOLD_SHARE: f64 = 0.5;
const HOLD_MIN_SECONDS: f64 = 10.0;
/// A verdict at an unchanged level is worded anew this often.
const VERDICT_SECONDS: f64 = 1.0;

/// The detector of one process. A restart is a new process and needs a new detector.
#[derive(Clone, Debug)]
pub struct Detector {
    config: DetectorConfig,
    envelopes: Vec<Envelope>,
    findings: Vec<Option<Finding>>,
    history: History,
    cadence: cadence::Cadence,
    /// The highest value of the warm-up: no window sees it, but what stays below it is no new high.
    warm_up_peak: Bytes,
    above_net_since: Option<Moment>,
    held: Option<(Level, Moment)>,
    said: Option<(Moment, Level, Verdict)>,
}

/// What one window says.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Finding {
    trend: Trend,
    suspicious: bool,
    leak_shape: bool,
}

impl Detector {
    /// A detector that has seen nothing.
    pub fn new(config: DetectorConfig) -> Self {
        let envelopes: Vec<_> = (0..WINDOWS)
            .map(|power| Envelope::new(SHORTEST_WINDOW * f64::from(1u32 << power)))
            .collect();
        Self {
            config,
            findings: vec![None; envelopes.len()],
            envelopes,
            history: History::default(),
            cadence: cadence::Cadence::default(),
            warm_up_peak: Bytes(0),
            above_net_since: None,
            held: None,
            said: None,
        }
    }

    /// The series so far, for plots.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Takes one sample and says what is known now. Samples must come in the order of their `at`.
    pub fn observe(&mut self, sample: &Sample) -> Assessment {
        let used = sample.used();
        self.history.push(sample);
        self.cadence.observe(sample.at, used);
        if sample.age >= self.config.warm_up {
            self.update_windows(sample.at, used, sample.limit);
        } else {
            self.warm_up_peak = self.warm_up_peak.max(used);
        }
        let (level, finding) = self.level(sample.at, used, sample.limit);
        let trend = finding.map(|finding| finding.trend);
        // Growth whose lower bound is not above zero is no growth to forecast from.
        let forecast = trend
            .filter(|trend| trend.low.0 > 0.0)
            .zip(sample.limit)
            .and_then(|(trend, limit)| forecast(used, limit, &trend));
        let verdict = self.verdict(sample, level, trend);
        let next_sample_in = self.cadence.next(used, sample.limit, &self.config);
        Assessment {
            at: sample.at,
            level,
            verdict,
            trend,
            forecast,
            used,
            limit: sample.limit,
            next_sample_in,
        }
    }

    fn update_windows(&mut self, at: Moment, used: Bytes, limit: Option<Bytes>) {
        for (envelope, finding) in self.envelopes.iter_mut().zip(&mut self.findings) {
            if envelope.push(at.0, used.as_f64()) {
                let record = envelope.record_before().max(self.warm_up_peak.as_f64());
                let past = envelope.has_past(at.0).then_some(record);
                *finding = envelope
                    .points()
                    .and_then(|points| find(&points, envelope.window(), past, used, limit));
            }
        }
    }

    /// The highest level that any window or the safety net speaks for, with the finding to show for it.
    fn level(&mut self, at: Moment, used: Bytes, limit: Option<Bytes>) -> (Level, Option<Finding>) {
        let mut best = (Level::Calm, None::<Finding>);
        for (envelope, finding) in self.envelopes.iter().zip(&self.findings) {
            let Some(finding) = finding else { continue };
            let level = limit
                .map_or(Level::Calm, |limit| grade(finding, envelope.window(), used, limit))
                .max(if finding.suspicious { Level::Suspect } else { Level::Calm });
            // Among equals the longest window wins: its slope is the least moved by a burst.
            if level >= best.0 {
                best = (level, Some(*finding));
            }
        }
        if self.safety_net(at, used, limit) {
            best.0 = Level::Imminent;
        }
        (self.hold(at, best), best.1)
    }

    fn safety_net(&mut self, at: Moment, used: Bytes, limit: Option<Bytes>) -> bool {
        let above = limit.is_some_and(|limit| used.fraction_of(limit) >= NET_SHARE);
        if !above {
            self.above_net_since = None;
            return false;
        }
        at.since(*self.above_net_since.get_or_insert(at)) >= NET_SECONDS
    }

    fn hold(&mut self, at: Moment, (level, finding): (Level, Option<Finding>)) -> Level {
        let until = Moment(
            at.0 + finding.map_or(0.0, |f| f.trend.window * HOLD_SHARE).max(HOLD_MIN_SECONDS),
        );
        match self.held {
            Some((held, end)) if level < held && at < end => held,
            _ => {
                self.held = (level > Level::Calm).then_some((level, until));
                level
            }
        }
    }

    /// The verdict, worded anew when the level changed or a second has passed.
    fn verdict(&mut self, sample: &Sample, level: Level, trend: Option<Trend>) -> Verdict {
        if let Some((at, same, verdict)) = &self.said
            && *same == level
            && sample.at.since(*at) < VERDICT_SECONDS
        {
            return verdict.clone();
        }
        let verdict = match trend {
            Some(trend) if level > Level::Calm => cause::of_growth(sample, &self.history, &trend),
            Some(trend) => cause::without_growth(sample, &self.history, &trend),
            None => Verdict {
                kind: Kind::Undecided,
                sentence: "Not watched for long enough to say anything.".into(),
            },
        };
        self.said = Some((sample.at, level, verdict.clone()));
        verdict
    }
}

/// What one full window says: its trend, and whether that trend is suspicious or has the shape of a leak. `record` is
/// the highest value from before the window, where there is enough of a past to know one.
fn find(
    points: &[Point],
    window: f64,
    record: Option<f64>,
    used: Bytes,
    limit: Option<Bytes>,
) -> Option<Finding> {
    let trend = theil_sen(points)?;
    let growth = trend.slope.0 * trend.window;
    // Without a limit the share is taken of what is used: a tenth more within the window is material.
    let material = limit.map_or(used.as_f64() * 0.1, |limit| limit.as_f64() * MATERIAL);
    let rising = trend.rises() && growth >= material;
    let new_record = points.last().zip(record).is_some_and(|(last, record)| last.bytes > record);
    let suspicious = rising
        && trend.still_climbs(points)
        && limit.is_none_or(|limit| {
            (limit - used).as_f64() <= trend.slope.0 * window * SUSPECT_HORIZON
        });
    Some(Finding { trend, suspicious, leak_shape: suspicious && new_record })
}

fn grade(finding: &Finding, window: f64, used: Bytes, limit: Bytes) -> Level {
    if !finding.suspicious {
        return Level::Calm;
    }
    let share = used.fraction_of(limit);
    let seconds_left = (limit - used).as_f64() / finding.trend.slope.0;
    let gate = match window {
        ..=SHORT_WINDOW => LEAK_GATE_SHORT,
        ..LONG_WINDOW => LEAK_GATE_MIDDLE,
        _ => LEAK_GATE_LONG,
    };
    let leak = finding.leak_shape
        && window >= SHORTEST_LEAK_WINDOW
        && share >= gate
        && seconds_left <= window * LEAK_HORIZON;
    let last_chance =
        finding.leak_shape && share >= LAST_CHANCE_GATE && seconds_left <= LAST_CHANCE_SECONDS;
    match (leak, last_chance) {
        (true, _) if seconds_left <= IMMINENT_SECONDS => Level::Imminent,
        (_, true) => Level::Imminent,
        (true, false) => Level::Leak,
        (false, false) => Level::Suspect,
    }
}

#[cfg(test)]
mod tests;
