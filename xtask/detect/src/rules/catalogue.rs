//! The rules' alerts: conditions and holds as their authors wrote them.

use std::fmt;
use std::time::Duration;

use super::Rule;
use super::promql::{Expr, Function, Metric, Op};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// What an alert watches.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// An expression: the alert is on where it has a value.
    Query(Expr),
    /// Coroot's check for leaks, which is a program.
    CorootLeakCheck,
}

/// One alert of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// What it watches.
    pub condition: Condition,
    /// `for`: how long that must hold before the alert fires.
    pub hold: Duration,
    /// `keep_firing_for`: how long it fires on afterwards.
    pub keep: Duration,
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query(expr) => write!(f, "{expr}"),
            Self::CorootLeakCheck => {
                f.write_str("Coroot's memory leak check, growth > 10 % an hour")
            }
        }
    }
}

/// The alerts of a rule; the rule fires while any of them does.
///
/// Aggregations such as `sum by (instance, name)` are left out: they change nothing for one container.
pub(super) fn alerts(rule: Rule) -> Vec<Alert> {
    use Metric::{AvailableMemory, Heap, LastOomKilled, Limit, ProcessAnon, Restarts};
    use Metric::{Rss, UsagePercent, WorkingSet};
    match rule {
        Rule::B1 => {
            let limited = last(Limit).with(Op::Above, 0.0);
            let percent = last(WorkingSet).with(Op::Per, limited).with(Op::Times, 100.0);
            vec![query(percent.with(Op::Above, 80.0), 2 * MINUTE)]
        }
        Rule::B2 => vec![query(deriv(Heap, 10 * MINUTE).with(Op::Above, 1e7), 0)],
        Rule::B3 => {
            let ago = Expr::Last(Restarts, Duration::from_secs(10 * MINUTE));
            let restarted = last(Restarts).with(Op::Minus, ago).with(Op::AtLeast, 1.0);
            let for_memory = lowest(LastOomKilled, 10 * MINUTE).with(Op::Equals, 1.0);
            vec![query(restarted.with(Op::And, for_memory), 0)]
        }
        Rule::B4 => {
            let high = last(UsagePercent).with(Op::Above, 70.0);
            let rising = predict(UsagePercent, HOUR, 7 * HOUR).with(Op::Above, 100.0);
            vec![query(high.with(Op::And, rising), 30 * MINUTE)]
        }
        Rule::B5 => vec![query(reaches_limit(WorkingSet, HOUR, 4 * HOUR), 5 * MINUTE)],
        Rule::B6 => vec![query(reaches_limit(WorkingSet, HOUR, 30 * MINUTE), 5 * MINUTE)],
        Rule::B7 => vec![query(reaches_limit(WorkingSet, 6 * HOUR, 24 * HOUR), 15 * MINUTE)],
        Rule::B8 => {
            let rising = deriv(WorkingSet, 6 * HOUR).with(Op::Above, 0.0);
            let reaches = reaches_limit(WorkingSet, HOUR, 24 * HOUR);
            vec![query(rising.with(Op::And, reaches), 30 * MINUTE)]
        }
        Rule::B9 => {
            let most = last(Limit).with(Op::Times, 0.95);
            vec![query(predict(WorkingSet, 30 * MINUTE, 2 * HOUR).with(Op::Above, most), 0)]
        }
        Rule::B10 => {
            let used = lowest(ProcessAnon, 10 * MINUTE).with(Op::Per, last(AvailableMemory));
            vec![query(used.with(Op::Above, 0.8), 5 * MINUTE)]
        }
        Rule::B11 => {
            let restarted =
                Expr::Over(Function::Increase, Restarts, Duration::from_secs(12 * MINUTE));
            let for_memory = last(LastOomKilled).with(Op::Equals, 1.0);
            vec![query(restarted.with(Op::And, for_memory).with(Op::Above, 10.0), 15 * MINUTE)]
        }
        Rule::B12 => {
            let quarter = Duration::from_secs(15 * MINUTE);
            vec![Alert { condition: Condition::CorootLeakCheck, hold: quarter, keep: quarter }]
        }
        Rule::B13 => {
            let high = last(Rss).with(Op::Per, last(Limit)).with(Op::Above, 0.7);
            let rising = reaches_limit(Rss, HOUR, 7 * HOUR);
            let mut both = alerts(Rule::AnonAbove90);
            both.insert(0, query(high.with(Op::And, rising), 30 * MINUTE));
            both
        }
        Rule::AnonAbove90 => {
            vec![query(last(Rss).with(Op::Per, last(Limit)).with(Op::Above, 0.9), MINUTE)]
        }
    }
}

/// An alert with a hold of so many seconds.
fn query(expr: Expr, hold: u64) -> Alert {
    Alert {
        condition: Condition::Query(expr),
        hold: Duration::from_secs(hold),
        keep: Duration::ZERO,
    }
}

fn last(metric: Metric) -> Expr {
    metric.into()
}

fn lowest(metric: Metric, seconds: u64) -> Expr {
    Expr::Over(Function::MinOverTime, metric, Duration::from_secs(seconds))
}

fn deriv(metric: Metric, seconds: u64) -> Expr {
    Expr::Over(Function::Deriv, metric, Duration::from_secs(seconds))
}

/// A window and a horizon, in seconds.
fn predict(metric: Metric, window: u64, ahead: u64) -> Expr {
    let function = Function::PredictLinear(Duration::from_secs(ahead));
    Expr::Over(function, metric, Duration::from_secs(window))
}

fn reaches_limit(metric: Metric, window: u64, ahead: u64) -> Expr {
    predict(metric, window, ahead).with(Op::Above, last(Metric::Limit))
}
