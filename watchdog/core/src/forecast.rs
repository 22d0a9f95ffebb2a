//! When the limit is hit, as an interval.
//!
//! The slope's own error is the smaller part of the error: growth changes its pace. So the interval spans the slopes of
//! every time scale that sees the growth, and is widened to what was measured on made-up leaks of fourteen kinds (see
//! docs/decisions/0005): nine in ten kills fall inside.

use serde::{Deserialize, Serialize};

use crate::trend::Trend;
use crate::units::{Bytes, WallTime};

/// Seconds until the limit is hit, from the slope's bounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// Soonest: headroom over the upper bound of the slope.
    pub low: f64,
    /// Headroom over the slope.
    pub estimate: f64,
    /// Latest: headroom over the lower bound; `None` when growth may stop before.
    pub high: Option<f64>,
}

/// The ends are moved out by these factors, so that nine in ten kills fall between them.
const SOONER: f64 = 0.75;
const LATER: f64 = 1.35;

/// Forecasts longer than this are not told: thirty days of unchanged growth is not a forecast.
const HORIZON: f64 = 30.0 * 86_400.0;

/// The slopes a forecast rests on, in bytes a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// The slope that is believed most.
    pub slope: f64,
    /// The lowest that may be: the lower bound of that slope, or what another time scale saw.
    pub low: f64,
    /// The highest that may be.
    pub high: f64,
}

impl Pace {
    /// The pace of one trend alone.
    pub fn of(trend: &Trend) -> Self {
        Self { slope: trend.slope.0, low: trend.low.0, high: trend.high.0 }
    }

    /// Widened to the slope that another time scale saw. Not to its bounds: those of a poor fit reach down to zero.
    pub fn and(self, other: &Trend) -> Self {
        Self { low: self.low.min(other.slope.0), high: self.high.max(other.slope.0), ..self }
    }
}

/// Time until `headroom` is used up; `None` when memory does not grow or the time is beyond thirty days.
pub fn forecast(headroom: Bytes, pace: Pace) -> Option<Forecast> {
    if pace.slope <= 0.0 || pace.high <= 0.0 {
        return None;
    }
    let headroom = headroom.as_f64();
    let estimate = headroom / pace.slope;
    if estimate > HORIZON {
        return None;
    }
    let high = (pace.low > 0.0).then(|| headroom / pace.low * LATER);
    Some(Forecast {
        low: headroom / pace.high * SOONER,
        estimate,
        high: high.filter(|high| *high <= HORIZON),
    })
}

/// The forecast on the wall clock, for people.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct KillWindow {
    /// Soonest.
    pub low: WallTime,
    /// Most likely.
    pub estimate: WallTime,
    /// Latest, if growth cannot stop before.
    pub high: Option<WallTime>,
}

impl Forecast {
    /// The same interval counted from `now`.
    pub fn from(&self, now: WallTime) -> KillWindow {
        KillWindow {
            low: now.plus(self.low),
            estimate: now.plus(self.estimate),
            high: self.high.map(|high| now.plus(high)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::BytesPerSecond;

    fn pace(low: f64, slope: f64, high: f64) -> Pace {
        Pace { slope, low, high }
    }

    #[test]
    fn the_interval_holds_the_estimate() {
        let forecast = forecast(Bytes(600), pace(5.0, 6.0, 8.0)).expect("growth");
        assert!((forecast.estimate - 100.0).abs() < 1e-9);
        assert!(forecast.low < 75.0 && forecast.high.expect("an end") > 120.0);
    }

    #[test]
    fn another_time_scale_only_widens_it() {
        let slow = Trend {
            slope: BytesPerSecond(3.0),
            low: BytesPerSecond(2.0),
            high: BytesPerSecond(4.0),
            window: 60.0,
            tau: 1.0,
        };
        assert_eq!(pace(5.0, 6.0, 8.0).and(&slow), pace(3.0, 6.0, 8.0));
        assert_eq!(Pace::of(&slow).and(&slow), pace(2.0, 3.0, 4.0));
    }

    #[test]
    fn growth_that_may_stop_has_no_latest_time() {
        let forecast = forecast(Bytes(600), pace(-1.0, 6.0, 8.0)).expect("growth");
        assert_eq!(forecast.high, None);
    }

    #[test]
    fn no_growth_or_a_far_future_is_no_forecast() {
        assert_eq!(forecast(Bytes(600), pace(-2.0, -1.0, 1.0)), None);
        assert_eq!(forecast(Bytes(1 << 40), pace(0.5, 1.0, 2.0)), None);
    }

    #[test]
    fn without_headroom_the_time_is_now() {
        let forecast = forecast(Bytes(0), pace(5.0, 6.0, 8.0)).expect("growth");
        assert_eq!(forecast.estimate, 0.0);
    }
}
