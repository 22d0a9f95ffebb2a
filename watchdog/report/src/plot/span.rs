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

#[cfg(test)]
mod tests {
    use watchdog_core::sample::Sample;
    use watchdog_core::units::Moment;

    use super::*;

    fn row(at: f64, wall: f64) -> Row {
        Row::from(&Sample { at: Moment(at), wall: WallTime(wall), ..Sample::default() })
    }

    fn times(rows: &[Row], now: f64) -> Vec<f64> {
        timed(rows, WallTime(now)).map(|(t, _)| t).collect()
    }

    #[test]
    fn a_clock_that_is_set_moves_no_row() {
        let rows = [row(10.0, 1000.0), row(20.0, 1010.0), row(30.0, 9000.0)];
        assert_eq!(times(&rows, 9000.0), [-20.0, -10.0, 0.0]);
        assert_eq!(times(&rows, 9005.0), [-25.0, -15.0, -5.0], "the last was seen before now");
        assert_eq!(times(&rows, f64::NAN), [-20.0, -10.0, 0.0]);
        assert_eq!(times(&rows, 1e9), [-20.0, -10.0, 0.0], "nonsense on the wall");
    }

    #[test]
    fn what_goes_back_in_time_is_left_out() {
        let rows = [row(10.0, 10.0), row(9.0, 11.0), row(f64::NAN, 12.0), row(12.0, 13.0)];
        assert_eq!(times(&rows, 13.0), [-2.0, 0.0]);
        assert!(times(&[], 13.0).is_empty());
    }

    #[test]
    fn a_forecast_is_in_order_and_not_in_the_past() {
        let ahead = |low, estimate, high: f64| {
            let [low, estimate, high] = [low, estimate, high].map(WallTime);
            Ahead::of(KillWindow { low, estimate, high: Some(high) }, WallTime(100.0))
        };
        let ordered = Ahead { low: 20.0, estimate: 20.0, high: Some(20.0) };
        assert_eq!(ahead(120.0, 90.0, 110.0), Some(ordered));
        let any_moment = Ahead { low: 0.0, estimate: 0.0, high: Some(5.0) };
        assert_eq!(ahead(80.0, 90.0, 105.0), Some(any_moment));
        assert_eq!(ahead(f64::NAN, 120.0, 130.0), None);
        let open = ahead(110.0, 120.0, f64::INFINITY).expect("a forecast");
        assert_eq!(open.high, None);
    }

    #[test]
    fn the_past_and_the_future_leave_each_other_room() {
        let ahead = |estimate| Some(Ahead { low: estimate, estimate, high: None });
        let limit = Some(Bytes(300));
        let near = Shown::of(-600.0, 200.0, limit, ahead(60.0));
        assert!(near.to > 60.0 && near.to < 120.0, "{near:?}");
        let far = Shown::of(-600.0, 200.0, limit, ahead(1e9));
        assert_eq!(far.to, 600.0 * MOST_FUTURE);
        assert!(Shown::of(-600.0, 200.0, limit, None).to > 0.0);
    }

    #[test]
    fn a_limit_that_would_flatten_the_use_is_left_out_unless_it_will_be_met() {
        let limit = Some(Bytes(2000));
        assert_eq!(Shown::of(-60.0, 200.0, limit, None).limit, None);
        let ahead = Some(Ahead { low: 9.0, estimate: 9.0, high: None });
        assert_eq!(Shown::of(-60.0, 200.0, limit, ahead).limit, Some(2000.0));
        assert_eq!(Shown::of(-60.0, 200.0, Some(Bytes(0)), ahead).limit, None);
        let unknown = Shown::of(0.0, 0.0, None, None);
        assert!(!unknown.known && unknown.top > 0.0);
    }
}
