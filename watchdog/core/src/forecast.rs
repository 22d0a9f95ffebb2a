//! When the limit is hit, as an interval.

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

/// The slope's own error is not the whole error: growth changes its pace. Both ends are widened by this share,
/// which is an assumption until the interval's calibration is measured on recorded kills.
const PACE_CHANGE: f64 = 0.15;

/// Forecasts longer than this are not told: thirty days of unchanged growth is not a forecast.
const HORIZON: f64 = 30.0 * 86_400.0;

/// Time until `used` reaches `limit` at the trend's pace; `None` when it does not grow or the time is beyond thirty days.
pub fn forecast(used: Bytes, limit: Bytes, trend: &Trend) -> Option<Forecast> {
    if trend.slope.0 <= 0.0 || trend.high.0 <= 0.0 {
        return None;
    }
    let headroom = (limit - used).as_f64();
    let estimate = headroom / trend.slope.0;
    if estimate > HORIZON {
        return None;
    }
    let high = (trend.low.0 > 0.0).then(|| headroom / trend.low.0 * (1.0 + PACE_CHANGE));
    Some(Forecast {
        low: headroom / trend.high.0 * (1.0 - PACE_CHANGE),
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

    fn trend(low: f64, slope: f64, high: f64) -> Trend {
        Trend {
            slope: BytesPerSecond(slope),
            low: BytesPerSecond(low),
            high: BytesPerSecond(high),
            window: 60.0,
            tau: 1.0,
        }
    }

    #[test]
    fn the_interval_holds_the_estimate() {
        let forecast = forecast(Bytes(400), Bytes(1000), &trend(5.0, 6.0, 8.0)).expect("growth");
        assert!((forecast.estimate - 100.0).abs() < 1e-9);
        assert!(forecast.low < 75.0 && forecast.high.expect("an end") > 120.0);
    }

    #[test]
    fn growth_that_may_stop_has_no_latest_time() {
        let forecast = forecast(Bytes(400), Bytes(1000), &trend(-1.0, 6.0, 8.0)).expect("growth");
        assert_eq!(forecast.high, None);
    }

    #[test]
    fn no_growth_or_a_far_future_is_no_forecast() {
        assert_eq!(forecast(Bytes(400), Bytes(1000), &trend(-2.0, -1.0, 1.0)), None);
        assert_eq!(forecast(Bytes(0), Bytes(1 << 40), &trend(0.5, 1.0, 2.0)), None);
    }

    #[test]
    fn past_the_limit_the_time_is_now() {
        let forecast = forecast(Bytes(1200), Bytes(1000), &trend(5.0, 6.0, 8.0)).expect("growth");
        assert_eq!(forecast.estimate, 0.0);
    }
}
