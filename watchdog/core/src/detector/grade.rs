//! How dangerous what a window found is, given what is in use now.

use crate::detector::Level;
use crate::detector::window::Finding;
use crate::forecast::{Forecast, Pace, forecast};
use crate::load::Explained;
use crate::units::{Bytes, Moment};

/// Windows below this many seconds raise suspicion only: two seconds of growth are a burst more often than a leak.
const SHORTEST_LEAK_WINDOW: f64 = 4.0;
/// A leak is told when the kill is at most this many windows away: no claim about the far future from a short past.
const LEAK_HORIZON: f64 = 2.0;
/// How well the slope must be known: its lower bound as a share of it. Bursts of minutes rise in one leap, so on windows
/// shorter than an hour the slope must be well known; on longer ones a leak may come in steps.
const LONG_WINDOW: f64 = 3600.0;
const SURE_SHORT: f64 = 0.65;
const SURE_LONG: f64 = 0.30;
/// Suspicion looks further, as being wrong costs one heap profile.
const SUSPECT_HORIZON: f64 = 16.0;
/// A leak this near its end is imminent: two minutes is what a person needs to do anything at all.
const IMMINENT_SECONDS: f64 = 120.0;
/// Growth that is only suspicious but hits the limit this soon is told at once when more than half is used:
/// there will be no later chance.
const LAST_CHANCE_SECONDS: f64 = 10.0;
const LAST_CHANCE_GATE: f64 = 0.50;

/// Share of the limit that must be in use before a leak is told, by the seconds that are left.
const GATES: [(f64, f64); 4] = [(5.0, 0.40), (20.0, 0.65), (60.0, 0.80), (f64::INFINITY, 0.85)];
/// With a day of history the record speaks for itself.
const SEASONED_SECONDS: f64 = 1.5 * 86_400.0;
const SEASONED_GATE: f64 = 0.75;
/// Where the load is known and did not grow, the commonest innocents are ruled out.
const UNEXPLAINED_GATE: f64 = 0.80;
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
    /// What is left below the limit for peaks as they are.
    pub(super) headroom: Bytes,
    /// Seconds for which a leak must speak before it is told.
    pub(super) patience: f64,
}

/// What `finding` means at `at`, with `used` of `limit` in use.
pub(super) fn grade(finding: &Finding, at: Moment, used: Bytes, limit: Option<Bytes>) -> Graded {
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
    graded.headroom = limit - top;
    if !finding.rising {
        return graded;
    }
    let left = (limit - top).as_f64() / finding.trend.slope.0;
    graded.patience = (left * PATIENCE).min(MOST_PATIENCE);
    graded.level = level(finding, top.fraction_of(limit), left);
    graded
}

impl Graded {
    /// When the limit is hit at the pace of its finding, and of every other time scale that sees the growth.
    pub(super) fn forecast<'a>(
        &self,
        others: impl Iterator<Item = &'a Finding>,
    ) -> Option<Forecast> {
        let finding = self.finding.filter(|finding| finding.trend.rises())?;
        let left = self.headroom.as_f64() / finding.trend.slope.0;
        let scales = SCALES.0..SCALES.1;
        let pace = others
            .filter(|other| other.trend.rises() && scales.contains(&(other.window / left)))
            .filter(|other| other.sureness() >= SURE_LONG)
            .fold(Pace::of(&finding.trend), |pace, other| pace.and(&other.trend));
        forecast(self.headroom, pace)
    }
}

fn level(finding: &Finding, share: f64, left: f64) -> Level {
    if left > finding.window * SUSPECT_HORIZON {
        return Level::Calm;
    }
    let shape = finding.new_high
        && finding.has_past
        && !finding.saturating
        && finding.explained != Explained::ByLoad;
    let long = finding.window >= LONG_WINDOW;
    let sure = finding.sureness() >= if long { SURE_LONG } else { SURE_SHORT };
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

fn gate(finding: &Finding, left: f64) -> f64 {
    let gate = GATES.iter().find(|(seconds, _)| left <= *seconds).map_or(1.0, |(_, gate)| *gate);
    // Less is enough only where the slope is beyond doubt.
    if finding.window < LONG_WINDOW || finding.sureness() < SURE_SHORT {
        return gate;
    }
    let seasoned = finding.watched >= SEASONED_SECONDS;
    let unexplained = finding.explained == Explained::Not;
    gate.min(if seasoned { SEASONED_GATE } else { 1.0 }).min(if unexplained {
        UNEXPLAINED_GATE
    } else {
        1.0
    })
}
