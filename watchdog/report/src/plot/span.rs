//! What stretch of time and memory is shown, and where on the picture it lies.

use watchdog_core::forecast::KillWindow;
use watchdog_core::history::Row;
use watchdog_core::units::{Bytes, WallTime};

use super::scene::Place;

/// Never shorter than this, in seconds: a second across a whole picture shows noise.
const SHORTEST: f64 = 60.0;
/// The future takes at most this many times the past, else the growth itself is not seen.
const MOST_FUTURE: f64 = 12.0;
/// A latest time further than this many estimates is not shown: the estimate would stick to the left.
const LATEST: f64 = 3.0;
/// A limit further above the use than this factor is not shown where nothing is foretold: the use would lie flat.
const FAR: f64 = 5.0;
/// The same where a kill is foretold.
const FAR_FORETOLD: f64 = 40.0;

/// No time is further from now than this, in seconds: some three hundred years.
const FURTHEST: f64 = 1e10;

/// A point of a series: seconds from now – the past is negative – and bytes.
pub(super) type Point = (f64, f64);

/// Seconds until the kill, each at least the one before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ahead {
    /// The soonest.
    pub low: f64,
    /// Most likely.
    pub estimate: f64,
    /// The latest, if growth cannot stop before.
    pub high: Option<f64>,
}

impl Ahead {
    /// `None` for what is no time.
    pub(super) fn of(kill: KillWindow, now: WallTime) -> Option<Self> {
        let until = |time: WallTime| {
            let seconds = time.0 - now.0;
            seconds.is_finite().then_some(seconds.clamp(0.0, FURTHEST))
        };
        let low = until(kill.low)?;
        let estimate = until(kill.estimate)?.max(low);
        let high = kill.high.and_then(until).map(|high| high.max(estimate));
        Some(Self { low, estimate, high })
    }
}

/// When each row was seen, in seconds from `now`, on the clock that cannot jump; what goes back in time or is no time is
/// left out.
pub(super) fn timed(rows: &[Row], now: WallTime) -> impl Iterator<Item = (f64, &Row)> {
    let finite = |row: &&Row| row.at.0.is_finite();
    let (first, last) = (rows.iter().find(finite), rows.iter().rfind(finite));
    let ends = first.zip(last);
    let length = ends.map_or(0.0, |(first, last)| last.at.since(first.at));
    // The wall only says how long ago the last one was; where it says nonsense, that is now.
    let ago = ends.map_or(0.0, |(_, last)| now.0 - last.wall.0);
    let ago = if (0.0..=length + SHORTEST).contains(&ago) { ago } else { 0.0 };
    let end = ends.map_or(0.0, |(_, last)| last.at.0);
    let mut newest = f64::NEG_INFINITY;
    rows.iter().filter_map(move |row| {
        let t = row.at.0 - end - ago;
        let follows = (-FURTHEST..=0.0).contains(&t) && t > newest;
        follows.then(|| {
            newest = t;
            (t, row)
        })
    })
}

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shown {
    /// The first second.
    pub from: f64,
    /// The last.
    pub to: f64,
    /// The most bytes.
    pub top: f64,
    /// The limit, where it is within.
    pub limit: Option<f64>,
    /// Whether any amount is known.
    pub known: bool,
}

impl Shown {
    /// What shows rows that begin at `from` and rise to `peak`, and what is ahead.
    pub(super) fn of(from: f64, peak: f64, limit: Option<Bytes>, ahead: Option<Ahead>) -> Self {
        let past = (-from).max(SHORTEST);
        let to = ahead.map_or(0.0, |ahead| {
            let high = ahead.high.unwrap_or(ahead.estimate * 1.6);
            let far = high.min(ahead.estimate.max(past * 0.05) * LATEST);
            far.max(ahead.estimate) * 1.06
        });
        let far = if ahead.is_some() { FAR_FORETOLD } else { FAR };
        let limit = limit.map(Bytes::as_f64).filter(|limit| *limit > 0.0);
        let limit = limit.filter(|limit| peak <= 0.0 || *limit <= peak * far);
        let highest = peak.max(limit.unwrap_or_default());
        let known = highest > 0.0;
        let highest = highest.max(1024.0);
        // Room for the limit's label above its line.
        let top = if limit.is_some() { highest * 1.18 } else { highest * 1.25 };
        Self { from: -past, to: to.clamp(past * 0.04, past * MOST_FUTURE), top, limit, known }
    }
}

/// Where on the picture it lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Frame {
    /// What is shown.
    pub shown: Shown,
    /// In pixels.
    pub left: f32,
    /// In pixels.
    pub right: f32,
    /// In pixels.
    pub top: f32,
    /// In pixels, below `top`.
    pub bottom: f32,
}

impl Frame {
    /// Where `t` seconds from now lies.
    pub(super) fn x(&self, t: f64) -> f32 {
        let share = (t - self.shown.from) / (self.shown.to - self.shown.from);
        self.left + (self.right - self.left) * share.clamp(0.0, 1.0) as f32
    }

    /// Where `bytes` lie.
    pub(super) fn y(&self, bytes: f64) -> f32 {
        let share = (bytes / self.shown.top).clamp(0.0, 1.0) as f32;
        self.bottom - (self.bottom - self.top) * share
    }

    /// Where a point lies.
    pub(super) fn place(&self, (t, bytes): Point) -> Place {
        (self.x(t), self.y(bytes))
    }

    /// Seconds in a pixel.
    pub(super) fn resolution(&self) -> f64 {
        (self.shown.to - self.shown.from) / f64::from((self.right - self.left).max(1.0))
    }
}
