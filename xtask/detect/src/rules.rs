//! The alert rules people run today, evaluated as Prometheus would.
//!
//! The semantics are those of Prometheus 2.42, the one Debian 12 ships: a range selector takes the samples at both ends
//! of its window (3.0 leaves the older end out), an instant selector one that is as old as the lookback (3.0 does not),
//! a function of a line needs two samples, a comparison drops what does not pass, and an alert whose condition has
//! held at every evaluation for its `for` fires. `tests/prometheus.rs` holds all of it against the real one.
//!
//! Left out: Prometheus spreads its evaluations over the interval, here they fall on multiples of it; scrapes and
//! exporters add delays of their own; both would only make the rules later.

use std::fmt;

mod catalogue;
mod column;
mod coroot;
mod data;
mod firing;
mod promql;
mod series;

pub use catalogue::{Alert, Condition};
pub use data::Data;
pub use promql::{Expr, Function, Metric, Op};
pub use series::{Series, Settings};

use data::{millis, seconds};

/// A rule, by its number in the list of baselines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// awesome-prometheus-alerts, "Container High Memory usage".
    B1,
    /// awesome-prometheus-alerts, growth of Go's heap.
    B2,
    /// awesome-prometheus-alerts, "Kubernetes Container oom killer".
    B3,
    /// sapcc/helm-charts, pods of limes.
    B4,
    /// The form most guides give.
    B5,
    /// kubernaut.
    B6,
    /// The same over a quarter of a day, a day ahead.
    B7,
    /// sentinel-api, two windows.
    B8,
    /// Half an hour's trend against 95 % of the limit.
    B9,
    /// `VictoriaMetrics`, "TooHighMemoryUsage".
    B10,
    /// OpenShift, "MultipleContainersOOMKilled".
    B11,
    /// Coroot, "Memory leak".
    B12,
    /// The strongest: B4 on anonymous memory, or [`Rule::AnonAbove90`].
    B13,
    /// Anonymous memory above 90 % of the limit for a minute.
    AnonAbove90,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Self; 14] = [
        Self::B1,
        Self::B2,
        Self::B3,
        Self::B4,
        Self::B5,
        Self::B6,
        Self::B7,
        Self::B8,
        Self::B9,
        Self::B10,
        Self::B11,
        Self::B12,
        Self::B13,
        Self::AnonAbove90,
    ];

    /// Its short name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::B1 => "B1",
            Self::B2 => "B2",
            Self::B3 => "B3",
            Self::B4 => "B4",
            Self::B5 => "B5",
            Self::B6 => "B6",
            Self::B7 => "B7",
            Self::B8 => "B8",
            Self::B9 => "B9",
            Self::B10 => "B10",
            Self::B11 => "B11",
            Self::B12 => "B12",
            Self::B13 => "B13",
            Self::AnonAbove90 => "anon > 90 %",
        }
    }

    /// What it watches, in one line.
    pub const fn what(self) -> &'static str {
        match self {
            Self::B1 => "working set above 80 % of the limit for 2 min (awesome-prometheus-alerts)",
            Self::B2 => "heap grows by 10 MB/s over 10 min (awesome-prometheus-alerts)",
            Self::B3 => {
                "killed for memory in the last 10 min: after the fact (awesome-prometheus-alerts)"
            }
            Self::B4 => "working set above 70 %, 1 h trend at the limit in 7 h, for 30 min (sapcc)",
            Self::B5 => "1 h trend of the working set at the limit in 4 h, for 5 min (most guides)",
            Self::B6 => {
                "1 h trend of the working set at the limit in 30 min, for 5 min (kubernaut)"
            }
            Self::B7 => "6 h trend of the working set at the limit in 24 h, for 15 min",
            Self::B8 => {
                "rising over 6 h, 1 h trend at the limit in 24 h, for 30 min (sentinel-api)"
            }
            Self::B9 => "30 min trend of the working set at 95 % of the limit in 2 h",
            Self::B10 => "anonymous memory never below 80 % in 10 min, for 5 min (VictoriaMetrics)",
            Self::B11 => {
                "more than 10 restarts for memory in 12 min, for 15 min: never on one kill (OpenShift)"
            }
            Self::B12 => "hour's line grows by 5 % of the limit and 10 %, for 15 min (Coroot)",
            Self::B13 => "B4 on anonymous memory, or anonymous memory above 90 % for 1 min",
            Self::AnonAbove90 => "anonymous memory above 90 % of the limit for 1 min",
        }
    }

    /// Its alerts with the queries as a user would write them; it fires while any of them does.
    pub fn alerts(self) -> Vec<Alert> {
        catalogue::alerts(self)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// When a rule fires on a series, in seconds: from the evaluation at which it begins to the first one at which it no
/// longer does, or the last one there is. Set up as [`Settings::of`] says.
///
/// `kill` is the second at which the kernel killed the container, if it did. Only the rules on restart counters look at
/// it: B3 fires at the first evaluation from then on that can look back ten minutes, until the kill is ten minutes ago;
/// B11 wants more than ten restarts and never fires on one.
pub fn episodes(rule: Rule, series: &Series, kill: Option<f64>) -> Vec<(f64, f64)> {
    Data::new(series, kill, Settings::of(series)).episodes(rule)
}

impl Data<'_> {
    /// As [`episodes`], under these settings.
    pub fn episodes(&self, rule: Rule) -> Vec<(f64, f64)> {
        firing::any(rule.alerts().iter().flat_map(|alert| self.fired(alert)).collect())
    }

    /// When one alert fires, as [`episodes`] gives it for a rule.
    pub fn fired(&self, alert: &Alert) -> Vec<(f64, f64)> {
        let (hold, keep) = (millis(alert.hold), millis(alert.keep));
        let fired = match &alert.condition {
            Condition::Query(expr) => {
                let steps = self.steps(expr.outlives());
                firing::intervals(steps.map(|at| (at, expr.eval(self, at).is_some())), hold, keep)
            }
            Condition::CorootLeakCheck => firing::intervals(coroot::steps(self), hold, keep),
        };
        fired.into_iter().map(|(from, to)| (seconds(from), seconds(to))).collect()
    }
}

#[cfg(test)]
mod tests;
