//! What one Prometheus holds of one container, and its evaluations of an expression over the time of the series.

use std::time::Duration;

use super::column::Column;
use super::promql::{Expr, Metric};
use super::series::{Series, Settings};

/// How long after a kill the restart counters are watched: longer than any window over them and its hold.
const AFTERMATH: Duration = Duration::from_secs(30 * 60);

/// A container's metrics in a Prometheus that is set up in one way.
#[derive(Clone, Debug)]
pub struct Data<'a> {
    series: &'a Series,
    settings: Settings,
    restarts: Column,
    oom_killed: Column,
    absent: Column,
    /// First sample, last sample, end of the aftermath.
    span: Option<(i64, i64, i64)>,
}

impl<'a> Data<'a> {
    /// The series, and the second at which the kernel killed the container, if it did. The restart counters come from
    /// another exporter than the memory; they are known at every evaluation, also after the series ended.
    pub fn new(series: &'a Series, kill: Option<f64>, settings: Settings) -> Self {
        let kill = kill.map(|kill| (kill * 1e3).round() as i64);
        let span = series.span().map(|(first, last)| {
            (first, last, kill.map_or(last, |kill| last.max(kill + millis(AFTERMATH))))
        });
        let mut data = Self {
            series,
            settings,
            restarts: Column::default(),
            oom_killed: Column::default(),
            absent: Column::default(),
            span,
        };
        let killed = |at: i64| kill.is_some_and(|kill| at >= kill);
        data.restarts =
            Column::new(data.steps(true).map(|at| (at, f64::from(u8::from(killed(at))))));
        data.oom_killed =
            Column::new(data.steps(true).filter(|at| killed(*at)).map(|at| (at, 1.0)));
        data
    }

    /// The metric's samples: seconds and values.
    pub fn points(&self, metric: Metric) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.column(metric).points().map(|(at, value)| (seconds(at), value))
    }

    /// Seconds of every evaluation of an expression: from the first sample to the last one, after which the container
    /// is gone and its metrics are marked stale. Restart counters outlive it.
    pub fn evaluations(&self, expr: &Expr) -> impl Iterator<Item = f64> + use<> {
        self.steps(expr.outlives()).map(seconds)
    }

    /// Seconds of the evaluations at which the expression has a value, and that value.
    pub fn evaluate(&self, expr: &Expr) -> Vec<(f64, f64)> {
        self.steps(expr.outlives())
            .filter_map(|at| Some((seconds(at), expr.eval(self, at)?)))
            .collect()
    }

    pub(super) fn column(&self, metric: Metric) -> &Column {
        match metric {
            Metric::Restarts => &self.restarts,
            Metric::LastOomKilled => &self.oom_killed,
            other => self.series.column(other).unwrap_or(&self.absent),
        }
    }

    /// In milliseconds.
    pub(super) fn interval(&self) -> i64 {
        millis(self.settings.interval).max(1)
    }

    /// In milliseconds.
    pub(super) fn lookback(&self) -> i64 {
        millis(self.settings.lookback)
    }

    /// Milliseconds of every evaluation, with or without those after the container's death.
    pub(super) fn steps(&self, aftermath: bool) -> impl Iterator<Item = i64> + use<> {
        let interval = self.interval();
        let (first, end) = self
            .span
            .map_or((0, -1), |(first, last, after)| (first, if aftermath { after } else { last }));
        let start = -(-first).div_euclid(interval);
        (start..=end.div_euclid(interval)).map(move |step| step * interval)
    }
}

/// Whole milliseconds, the resolution of Prometheus.
pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// From milliseconds.
pub(super) fn seconds(millis: i64) -> f64 {
    millis as f64 / 1e3
}
