//! How dangerous what a window found is, given what is in use now.

use crate::detector::Level;
use crate::detector::window::Finding;
use crate::forecast::{Forecast, Pace, forecast};
use crate::load::Explained;
use crate::units::{Bytes, Moment};

/// Windows below this many seconds only speak at the last chance: two seconds of growth are a burst more often than a
/// leak.
const SHORTEST_LEAK_WINDOW: f64 = 4.0;
/// A leak is told when the kill is at most this many windows away: no claim about the far future from a short past.
const LEAK_HORIZON: f64 = 2.0;
/// How well the slope must be known to be told of: its lower bound as a share of it. Bursts of minutes rise in one leap,
/// so on windows shorter than an hour the slope must be well known; on longer ones a leak may come in steps.
const LONG_WINDOW: f64 = 3600.0;
const SURE_SHORT: f64 = 0.70;
const SURE_LONG: f64 = 0.55;
/// What counts as a slope known well on any window, beside [`SURE_SHORT`]: this share of pairs rises. A few steps up
/// reach 0.8, steady growth 0.9.
const SURE_TAU: f64 = 0.85;
/// Suspicion looks further, as being wrong costs one heap profile.
const SUSPECT_HORIZON: f64 = 16.0;
/// A leak this near its end is imminent: two minutes is what a person needs to do anything at all.
const IMMINENT_SECONDS: f64 = 120.0;
/// Growth that hits the limit this soon is told at once when more than half is used, from whatever window and past:
/// there will be no later chance.
const LAST_CHANCE_SECONDS: f64 = 10.0;
const LAST_CHANCE_GATE: f64 = 0.50;

/// Share of the limit that must be in use before a leak is told, by the seconds that are left. Half of all innocents
/// end below 70 %, nearly all below 85 %; only where there is no time is less enough.
const GATES: [(f64, f64); 4] = [(5.0, 0.40), (20.0, 0.65), (HURRY, 0.80), (f64::INFINITY, 0.85)];
const HURRY: f64 = 60.0;
/// More is needed where growth was seen from the first moment on, as it cannot be told from filling up, and where the
/// slope is not known well.
const DOUBT_GATE: f64 = 0.88;
/// A little less is enough for a straight line, as leaks of minutes leave no time;
const STRAIGHT_SURE: f64 = 0.80;
const STRAIGHT_TAU: f64 = 0.95;
const STRAIGHT_GATE: f64 = 0.84;
/// and less on a long window with a slope known well: after a day and a half, as the record speaks for itself;
const SEASONED_SECONDS: f64 = 1.5 * 86_400.0;
const SEASONED_GATE: f64 = 0.75;
/// where the workload was at rest before, as it neither waves nor wanders;
const REST_GATE: f64 = 0.78;
/// and where the load is known and did not grow.
const UNEXPLAINED_GATE: f64 = 0.82;
/// From this share on nothing is excused, neither filling up nor load.
const FULL_GATE: f64 = 0.92;
/// Windows that say something of the time left, by their length over it: much shorter ones see a moment, much longer
/// ones what was before the growth.
const SCALES: (f64, f64) = (0.25, 8.0);
/// Share of the time left for which a leak must speak before it is told, and its bound in seconds.
const PATIENCE: f64 = 0.05;
const MOST_PATIENCE: f64 = 600.0;

/// A level and what speaks for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Graded {
    pub(super) level: Level,
    pub(super) finding: Option<Finding>,
    /// What is left below the limit for peaks as they are; `None` without a limit or growth.
    pub(super) headroom: Option<Bytes>,
    /// Seconds for which a leak must speak before it is told.
    pub(super) patience: f64,
}

/// What `finding` means at `at`, with `used` of `limit` in use. `fills` says that the growth approaches a level that is
/// safe to live at.
pub(super) fn grade(
    finding: &Finding,
    at: Moment,
    used: Bytes,
    limit: Option<Bytes>,
    fills: bool,
) -> Graded {
    let mut graded = Graded { finding: Some(*finding), ..Graded::default() };
    let Some(limit) = limit else {
        // Without a limit there is no kill to fear; growth is only worth a profile.
        graded.level = if finding.rising { Level::Suspect } else { Level::Calm };
        return graded;
    };
    if !finding.trend.rises() {
        return graded;
    }
    // Peaks touch the limit first; a service that never falls below what it uses now has none.
    let line = finding.level + finding.trend.slope.0 * (at.0 - finding.at).max(0.0);
    let top = Bytes((line + finding.peaks).min(finding.recent).max(used.as_f64()) as u64);
    graded.headroom = Some(limit - top);
    if !finding.rising {
        return graded;
    }
    let left = (limit - top).as_f64() / finding.trend.slope.0;
    graded.patience = (left * PATIENCE).min(MOST_PATIENCE);
    graded.level = level(finding, top.fraction_of(limit), left, fills);
    graded
}

impl Graded {
    /// When the limit is hit at the pace of its finding, and of every other time scale that sees the growth.
    pub(super) fn forecast<'a>(
        &self,
        others: impl Iterator<Item = &'a Finding>,
    ) -> Option<Forecast> {
        let (finding, headroom) = self.finding.zip(self.headroom)?;
        let left = headroom.as_f64() / finding.trend.slope.0;
        let scales = SCALES.0..SCALES.1;
        let pace = others
            .filter(|other| other.trend.rises() && scales.contains(&(other.window / left)))
            .filter(|other| other.sureness() >= SURE_LONG)
            .fold(Pace::of(&finding.trend), |pace, other| pace.and(&other.trend));
        forecast(headroom, pace)
    }
}

fn level(finding: &Finding, share: f64, left: f64, fills: bool) -> Level {
    if left > finding.window * SUSPECT_HORIZON {
        return Level::Calm;
    }
    let excused = share < FULL_GATE && (fills || finding.explained == Explained::ByLoad);
    let shape = finding.new_high && !excused;
    let sure =
        known_well(finding) || (finding.window >= LONG_WINDOW && finding.sureness() >= SURE_LONG);
    let leak = shape
        && sure
        && finding.window >= SHORTEST_LEAK_WINDOW
        && share >= gate(finding, left)
        && left <= finding.window * LEAK_HORIZON;
    let last_chance = shape && sure && share >= LAST_CHANCE_GATE && left <= LAST_CHANCE_SECONDS;
    match (leak, last_chance) {
        (true, _) if left <= IMMINENT_SECONDS => Level::Imminent,
        (_, true) => Level::Imminent,
        (true, false) => Level::Leak,
        (false, false) => Level::Suspect,
    }
}

/// Whether the slope is known well enough for any window.
fn known_well(finding: &Finding) -> bool {
    finding.sureness() >= SURE_SHORT && finding.trend.tau >= SURE_TAU
}

/// Whether it is as good as a straight line.
fn straight(finding: &Finding) -> bool {
    finding.sureness() >= STRAIGHT_SURE && finding.trend.tau >= STRAIGHT_TAU
}

/// Share of the limit that must be in use before this finding is told of as a leak.
fn gate(finding: &Finding, left: f64) -> f64 {
    let gate = GATES.iter().find(|(seconds, _)| left <= *seconds).map_or(1.0, |(_, gate)| *gate);
    let sure = known_well(finding);
    if !finding.has_past || (!sure && left > HURRY) {
        return gate.max(DOUBT_GATE);
    }
    if !sure {
        return gate;
    }
    if finding.window < LONG_WINDOW {
        return if straight(finding) { gate.min(STRAIGHT_GATE) } else { gate };
    }
    let enough = [
        (finding.watched >= SEASONED_SECONDS, SEASONED_GATE),
        (finding.from_rest, REST_GATE),
        (finding.explained == Explained::Not, UNEXPLAINED_GATE),
    ];
    enough.iter().filter(|(holds, _)| *holds).fold(gate, |gate, (_, enough)| gate.min(*enough))
}
