//! The picture in a message: memory, its limit, and where it is going, legible on a phone.
//!
//! Times are told from now, as a picture is read in another time zone than it was made in; the clock stands beside. Every
//! input comes from outside: whatever it is, there is a picture, of bounded cost.

mod font;
mod forecast;
mod layout;
mod marks;
mod palette;
mod raster;
mod scene;
mod series;
mod span;
mod ticks;
mod vector;

use watchdog_core::forecast::KillWindow;
use watchdog_core::history::Row;
use watchdog_core::incident::{Incident, State};
use watchdog_core::units::{Bytes, WallTime};

use crate::message;

pub use font::FontError;

/// What the picture will stand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// White.
    Light,
    /// Nearly black.
    Dark,
}

/// Something that happened, drawn as a vertical line with its label.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// When.
    pub at: WallTime,
    /// What, in a word or two.
    pub label: String,
}

/// A picture of 1200 × 675 pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Plot<'a> {
    /// Shown in at most two lines, cut where it is longer.
    pub title: String,
    /// Oldest first; all that are given are shown.
    pub rows: &'a [Row],
    /// Drawn as a line, unless it is so far above the use that nothing else could be seen.
    pub limit: Option<Bytes>,
    /// Drawn as a cone from the last row to the limit.
    pub kill: Option<KillWindow>,
    /// What times are counted from; rows after it are not drawn.
    pub now: WallTime,
    /// What that moment is called: `now`, or how it ended.
    pub zero: &'static str,
    /// Those within the time that is shown are drawn, the newest sixteen of them.
    pub marks: Vec<Mark>,
}

/// A picture that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// The program lacks its letters.
    #[error(transparent)]
    Font(#[from] FontError),
    /// There is no memory for it.
    #[error("no memory for a picture of 1200 × 675 pixels")]
    Canvas,
    /// It cannot be written as PNG.
    #[error("cannot write the picture as PNG: {0}")]
    Png(#[from] png::EncodingError),
    /// It cannot be written as SVG.
    #[error("cannot write the picture as SVG: {0}")]
    Svg(String),
}

/// What is shown from before the incident, as a multiple of its age; a near kill leaves less room for it.
const BEFORE: (f64, f64) = (0.25, 3.0);
/// What is shown of the past at least, in seconds.
const PAST: f64 = 60.0;
/// And at least and at most as multiples of the time to the kill, so that neither presses the other to an edge.
const AHEAD: (f64, f64) = (0.6, 8.0);

impl<'a> Plot<'a> {
    /// What is worth seeing of an incident: from three times its age before it opened to its end or the foretold kill.
    /// `rows` are the target's, oldest first, as many as there are.
    pub fn of(incident: &Incident, rows: &'a [Row]) -> Self {
        let now = incident.closed.unwrap_or(incident.updated);
        let kill = incident.kill.filter(|_| !incident.state.is_closed());
        Self {
            title: title(incident),
            rows: recent(rows, now, past(incident, now, kill)),
            limit: incident.limit,
            kill,
            now,
            zero: zero(incident.state),
            marks: marks(incident),
        }
    }

    /// The picture as PNG: about 45 KB.
    ///
    /// # Errors
    /// When the program was built without its font, or there is no memory for the picture.
    pub fn png(&self, theme: Theme) -> Result<Vec<u8>, PlotError> {
        raster::png(&layout::compose(self)?, theme)
    }

    /// The picture as SVG.
    ///
    /// # Errors
    /// When the program was built without its font.
    pub fn svg(&self, theme: Theme) -> Result<String, PlotError> {
        let scene = layout::compose(self)?;
        let bytes =
            vector::svg(&scene, theme).map_err(|error| PlotError::Svg(error.to_string()))?;
        String::from_utf8(bytes).map_err(|error| PlotError::Svg(error.to_string()))
    }
}

/// The message's title; of one of several replicas with what tells it from the others.
fn title(incident: &Incident) -> String {
    let target = &incident.target;
    match &target.workload {
        Some(workload) if *workload != target.name => {
            format!("{} {}", message::group::replica(incident), message::headline(incident))
        }
        _ => message::title(incident),
    }
}

/// How much of the past is shown, in seconds.
fn past(incident: &Incident, now: WallTime, kill: Option<KillWindow>) -> f64 {
    let age = (now.0 - incident.opened.0).max(0.0);
    let (least, most) = (age * (1.0 + BEFORE.0), age * (1.0 + BEFORE.1));
    let past = match kill.map(|kill| (kill.estimate.0 - now.0).max(0.0)) {
        Some(ahead) => most.min(ahead * AHEAD.1).max(ahead * AHEAD.0).max(least),
        None => most,
    };
    past.max(PAST)
}

/// The rows of the last `past` seconds before `now`, and none of a process that came after.
fn recent(rows: &[Row], now: WallTime, past: f64) -> &[Row] {
    let rows = &rows[..rows.partition_point(|row| row.wall.0 <= now.0)];
    let Some(last) = rows.last() else { return rows };
    let from = last.at.0 - past;
    &rows[rows.partition_point(|row| row.at.0 < from)..]
}

fn zero(state: State) -> &'static str {
    match state {
        State::Suspected | State::Confirmed | State::Imminent => "now",
        State::Recovered | State::Killed | State::Gone => state.as_str(),
    }
}

/// The end is marked by what times are counted from.
fn marks(incident: &Incident) -> Vec<Mark> {
    let mark = |at: WallTime, label: &str| Mark { at, label: label.into() };
    let suspected =
        (incident.told != Some(incident.opened)).then(|| mark(incident.opened, "suspected"));
    let told = incident.told.map(|at| mark(at, "reported"));
    suspected.into_iter().chain(told).collect()
}
