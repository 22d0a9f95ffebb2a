//! The part of PromQL that the rules need: the text a user would write and what it gives come from one expression.
//!
//! Every metric here is one series, so aggregations and label matching have nothing to do and are left out.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use super::column::Column;
use super::data::{Data, millis};

/// A metric that the rules ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// cAdvisor's anonymous memory of the cgroup, in bytes.
    Rss,
    /// The same by the name `VictoriaMetrics` gives it.
    ProcessAnon,
    /// cAdvisor's usage without inactive file pages, in bytes.
    WorkingSet,
    /// A recorded ratio: working set in per cent of the limit.
    UsagePercent,
    /// Bytes the program holds on its heap, from the allocator's own statistics.
    Heap,
    /// The limit in bytes; absent where there is none.
    Limit,
    /// The same by the name `VictoriaMetrics` gives it.
    AvailableMemory,
    /// Restarts of the container so far.
    Restarts,
    /// One as soon as the container was killed for memory.
    LastOomKilled,
}

impl Metric {
    /// Every metric.
    pub const ALL: [Self; 9] = [
        Self::Rss,
        Self::ProcessAnon,
        Self::WorkingSet,
        Self::UsagePercent,
        Self::Heap,
        Self::Limit,
        Self::AvailableMemory,
        Self::Restarts,
        Self::LastOomKilled,
    ];

    /// Its name in Prometheus.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rss => "container_memory_rss",
            Self::ProcessAnon => "process_resident_memory_anon_bytes",
            Self::WorkingSet => "container_memory_working_set_bytes",
            Self::UsagePercent => "container_memory_usage_percent",
            Self::Heap => "go_memstats_heap_inuse_bytes",
            Self::Limit => "container_spec_memory_limit_bytes",
            Self::AvailableMemory => "vm_available_memory_bytes",
            Self::Restarts => "kube_pod_container_status_restarts_total",
            Self::LastOomKilled => "kube_pod_container_status_last_terminated_reason",
        }
    }

    /// The label that tells its series from others of the name, as a name and a value.
    pub const fn label(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::LastOomKilled => Some(("reason", "OOMKilled")),
            _ => None,
        }
    }

    /// Whether it goes on after the container's death, because something else reports it.
    const fn outlives(self) -> bool {
        matches!(self, Self::Restarts | Self::LastOomKilled)
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        self.label().map_or(Ok(()), |(name, value)| write!(f, "{{{name}=\"{value}\"}}"))
    }
}

/// What a function makes of a window of samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Function {
    /// Slope of the least-squares line, a second.
    Deriv,
    /// Value of that line so long after the evaluation.
    PredictLinear(Duration),
    /// Smallest value.
    MinOverTime,
    /// Growth of a counter, extrapolated to the ends of the window.
    Increase,
}

/// What stands between two expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Division.
    Per,
    /// Multiplication.
    Times,
    /// Subtraction.
    Minus,
    /// Lets the left side pass where it is greater.
    Above,
    /// Lets the left side pass where it is not smaller.
    AtLeast,
    /// Lets the left side pass where both are equal.
    Equals,
    /// Lets the left side pass where the right one has a value.
    And,
}

/// An expression: at each evaluation one value or none. Its durations are whole seconds.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// A number.
    Number(f64),
    /// The last sample, so long ago.
    Last(Metric, Duration),
    /// A function over the window that ends at the evaluation.
    Over(Function, Metric, Duration),
    /// Two expressions.
    Pair(Box<Expr>, Op, Box<Expr>),
}

impl From<f64> for Expr {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<Metric> for Expr {
    fn from(metric: Metric) -> Self {
        Self::Last(metric, Duration::ZERO)
    }
}

impl Expr {
    /// This and another expression.
    pub fn with(self, op: Op, other: impl Into<Self>) -> Self {
        Self::Pair(Box::new(self), op, Box::new(other.into()))
    }

    /// Its value at a moment, in milliseconds.
    pub(super) fn eval(&self, data: &Data<'_>, now: i64) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Last(metric, ago) => {
                data.column(*metric).last(now - millis(*ago), data.lookback())
            }
            Self::Over(function, metric, range) => {
                let column = data.column(*metric);
                let from = now - millis(*range);
                function.apply(column, column.window(from, now), from, now)
            }
            Self::Pair(left, op, right) => op.apply(left.eval(data, now)?, right.eval(data, now)?),
        }
    }

    /// Whether all it asks for goes on after the container's death.
    pub(super) fn outlives(&self) -> bool {
        match self {
            Self::Number(_) => true,
            Self::Last(metric, _) | Self::Over(_, metric, _) => metric.outlives(),
            Self::Pair(left, _, right) => left.outlives() && right.outlives(),
        }
    }

    fn is_pair(&self) -> bool {
        matches!(self, Self::Pair(..))
    }

    fn mentions_label(&self) -> Option<&'static str> {
        match self {
            Self::Number(_) => None,
            Self::Last(metric, _) | Self::Over(_, metric, _) => {
                metric.label().map(|(name, _)| name)
            }
            Self::Pair(left, _, right) => left.mentions_label().or_else(|| right.mentions_label()),
        }
    }
}

impl Function {
    /// Window and time of evaluation in milliseconds.
    fn apply(self, column: &Column, samples: Range<usize>, from: i64, now: i64) -> Option<f64> {
        match self {
            Self::Deriv => column.fit(samples, now).map(|line| line.slope),
            Self::PredictLinear(ahead) => column
                .fit(samples, now)
                .map(|line| line.slope * ahead.as_secs_f64() + line.intercept),
            Self::MinOverTime => column.values(samples).iter().copied().reduce(f64::min),
            Self::Increase => increase(column, samples, from, now),
        }
    }
}

impl Op {
    fn apply(self, left: f64, right: f64) -> Option<f64> {
        match self {
            Self::Per => Some(left / right),
            Self::Times => Some(left * right),
            Self::Minus => Some(left - right),
            Self::Above => (left > right).then_some(left),
            Self::AtLeast => (left >= right).then_some(left),
            Self::Equals => (left == right).then_some(left),
            Self::And => Some(left),
        }
    }
}

/// `extrapolatedRate` of Prometheus 2.42 (promql/functions.go): a counter's growth between the first and the last
/// sample, a drop being a restart from zero, stretched to the window's ends where the samples come close to them.
fn increase(column: &Column, samples: Range<usize>, from: i64, now: i64) -> Option<f64> {
    if samples.len() < 2 {
        return None;
    }
    let (first, last) = (column.at(samples.start), column.at(samples.end - 1));
    let values = column.values(samples);
    let growth: f64 = values.windows(2).map(|w| if w[1] < w[0] { w[1] } else { w[1] - w[0] }).sum();
    let spanned = (last - first) as f64;
    let between = spanned / (values.len() - 1) as f64;
    let mut before = (first - from) as f64;
    if growth > 0.0 && values[0] >= 0.0 {
        // A counter was never below zero.
        before = before.min(spanned * (values[0] / growth));
    }
    let stretch = |gap: f64| if gap < between * 1.1 { gap } else { between / 2.0 };
    Some(growth * (spanned + stretch(before) + stretch((now - last) as f64)) / spanned)
}

impl fmt::Display for Expr {
    /// PromQL. Nested pairs stand in parentheses, so that nobody needs to know which operator binds tighter.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Last(metric, Duration::ZERO) => write!(f, "{metric}"),
            Self::Last(metric, ago) => write!(f, "{metric} offset {}", span(*ago)),
            Self::Over(function, metric, range) => {
                let range = span(*range);
                match function {
                    Function::Deriv => write!(f, "deriv({metric}[{range}])"),
                    Function::PredictLinear(ahead) => {
                        write!(f, "predict_linear({metric}[{range}], {})", ahead.as_secs_f64())
                    }
                    Function::MinOverTime => write!(f, "min_over_time({metric}[{range}])"),
                    Function::Increase => write!(f, "increase({metric}[{range}])"),
                }
            }
            Self::Pair(left, op, right) => {
                nested(f, left)?;
                match op {
                    Op::Per => f.write_str(" / "),
                    Op::Times => f.write_str(" * "),
                    Op::Minus => f.write_str(" - "),
                    Op::Above => f.write_str(" > "),
                    Op::AtLeast => f.write_str(" >= "),
                    Op::Equals => f.write_str(" == "),
                    Op::And => match self.mentions_label() {
                        Some(label) => write!(f, " and ignoring ({label}) "),
                        None => f.write_str(" and "),
                    },
                }?;
                nested(f, right)
            }
        }
    }
}

fn nested(f: &mut fmt::Formatter<'_>, expr: &Expr) -> fmt::Result {
    if expr.is_pair() { write!(f, "({expr})") } else { write!(f, "{expr}") }
}

/// A duration as PromQL writes it.
fn span(duration: Duration) -> String {
    match duration.as_secs() {
        s if s % 3600 == 0 => format!("{}h", s / 3600),
        s if s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sample every five minutes, as in Prometheus' own tests of `increase`.
    fn counter(values: &[f64]) -> Column {
        Column::new((0..).map(|i| i * 300_000).zip(values.iter().copied()))
    }

    fn over(column: &Column, range: i64, now: i64) -> Option<f64> {
        increase(column, column.window(now - range, now), now - range, now)
    }

    #[test]
    fn a_counter_grows_by_what_it_counted_and_a_drop_is_a_restart() {
        let minute = 60_000;
        let steady = counter(&[0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 100.0]);
        assert_eq!(over(&steady, 50 * minute, 50 * minute), Some(100.0));
        let restarted = counter(&[0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 0.0, 10.0, 20.0, 30.0, 40.0]);
        assert_eq!(over(&restarted, 50 * minute, 50 * minute), Some(90.0));
        assert_eq!(over(&steady, 4 * minute, 50 * minute), None);
    }

    #[test]
    fn growth_is_stretched_to_the_ends_but_never_below_zero() {
        let minute = 60_000;
        let steady = counter(&[100.0, 110.0, 120.0]);
        assert_eq!(over(&steady, 12 * minute, 12 * minute), Some(24.0));
        let young = counter(&[1.0, 11.0, 21.0]);
        let before = 1.0 / 20.0 * 10.0;
        let grown = over(&young, 14 * minute, 12 * minute).expect("three samples");
        assert!((grown - 20.0 * (10.0 + before + 2.0) / 10.0).abs() < 1e-9, "{grown}");
    }
}
