//! Which step is left, the most urgent first: the message, its thread, the plot, what the plot leaves behind, profiles.
//!
//! Pure: what is due follows from the incidents and from what is remembered, so that a step that was cut short is simply
//! due again.

use watchdog_core::incident::Incident;
use watchdog_core::units::WallTime;

use super::memory::Memory;
use super::news::{self, News};
use crate::message::group;

/// Seconds between two plots of a message at least; Slack asks for no more than one file a minute in a place.
const PLOT_EVERY: f64 = 60.0;
/// A forecast has moved much when it moved by this share of the time that was left, but by less than half a minute
/// nobody would see it.
const MOVED: f64 = 0.2;
const MOVED_SECONDS: f64 = 30.0;

/// A step.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Posts the message.
    Post,
    /// Brings the message up to date.
    Update,
    /// Answers in the thread.
    Reply(News),
    /// Draws and uploads the plot of the incident in this place.
    Plot(usize),
    /// Deletes a file.
    Delete(String),
    /// Sends the heap profile `dump` of the incident in this place.
    Profile {
        /// Which incident.
        place: usize,
        /// The dump's id.
        dump: String,
        /// Whether all is over.
        ended: bool,
    },
}

/// The next step; `words` is the checksum of what the message should say now, and `has_rows` tells whether a target can
/// be plotted.
pub(super) fn next(
    memory: &Memory,
    incidents: &[Incident],
    words: u32,
    has_rows: impl Fn(&str) -> bool,
) -> Option<Step> {
    if memory.abandoned {
        return None;
    }
    if memory.root.is_none() {
        return Some(Step::Post);
    }
    if !memory.frozen && memory.words != words {
        return Some(Step::Update);
    }
    if let Some(news) = news::untold(memory, incidents) {
        return Some(Step::Reply(news));
    }
    if memory.no_files {
        return None;
    }
    if let Some(place) = plot_due(memory, incidents, has_rows) {
        return Some(Step::Plot(place));
    }
    if !memory.frozen && memory.image() != memory.shown.as_deref() {
        return Some(Step::Update);
    }
    if let Some(file) = memory.superseded() {
        return Some(Step::Delete(file.clone()));
    }
    profile_due(memory, incidents)
}

/// The time of the newest incident: the only clock there is here.
pub(super) fn now(incidents: &[Incident]) -> WallTime {
    WallTime(incidents.iter().map(|incident| incident.updated.0).fold(0.0, f64::max))
}

pub(super) fn is_over(incidents: &[Incident]) -> bool {
    incidents.iter().all(|incident| incident.state.is_closed())
}

/// The place of the first incident, by danger, that fits.
fn worst(incidents: &[Incident], fits: impl Fn(&Incident) -> bool) -> Option<usize> {
    let fitting = incidents.iter().enumerate().filter(|(_, incident)| fits(incident));
    fitting.min_by(|(_, a), (_, b)| group::by_danger(a, b)).map(|(place, _)| place)
}

/// Which incident is to be plotted, if one is. A plot of the end is always drawn: it is the last, and shows how it went.
fn plot_due(
    memory: &Memory,
    incidents: &[Incident],
    has_rows: impl Fn(&str) -> bool,
) -> Option<usize> {
    let place = worst(incidents, |_| true)?;
    let incident = incidents.get(place)?;
    let due = memory.drawn.is_none_or(|drawn| {
        let now = now(incidents);
        if drawn.over || is_over(incidents) {
            return !drawn.over;
        }
        if memory.shown_if_shared {
            return false;
        }
        let id = crc32fast::hash(incident.id.as_bytes());
        let news = (drawn.incident, drawn.revision) != (id, incident.revision);
        let moved = match (drawn.kill, incident.kill) {
            (Some(was), Some(kill)) => {
                let left = (was.0 - drawn.at.0).max(0.0);
                (kill.estimate.0 - was.0).abs() > (MOVED * left).max(MOVED_SECONDS)
            }
            (was, is) => was.is_some() != is.is_some(),
        };
        now.0 - drawn.at.0 >= PLOT_EVERY && (news || moved)
    });
    (due && has_rows(&incident.target.name)).then_some(place)
}

/// The heap profile to send: the newest when the function is named, and the newest at the end.
fn profile_due(memory: &Memory, incidents: &[Incident]) -> Option<Step> {
    let sent = &memory.profiles;
    let ended = is_over(incidents);
    let named = |incident: &Incident| incident.culprit.is_some() && !incident.dumps.is_empty();
    let place = if ended && !sent.ended {
        worst(incidents, |incident| !incident.dumps.is_empty())
    } else if !ended && !sent.named {
        worst(incidents, named)
    } else {
        None
    }?;
    let dump = incidents.get(place)?.dumps.last()?.clone();
    (sent.last.as_ref() != Some(&dump)).then_some(Step::Profile { place, dump, ended })
}
