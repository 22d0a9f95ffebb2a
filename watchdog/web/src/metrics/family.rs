//! A metric's description, and the series of it that are written on a scrape.

use watchdog_core::units::Bytes;

use super::text::{self, Format};
use crate::status::{Durations, Status, TargetStatus};

/// The label that every metric of a target begins with.
pub(super) const TARGET: (&str, &str) = ("target", "its name");

/// Everything that is said of one metric; the scrape and the printed catalogue both come from it.
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) unit: &'static str,
    /// Names of its labels with the values they take; `target` comes first where there is one.
    pub(super) labels: &'static [(&'static str, &'static str)],
    pub(super) help: &'static str,
    pub(super) absent: &'static str,
    pub(super) collect: Collect,
}

/// Prometheus' type of a metric.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Gauge,
    Counter,
    Histogram,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
        }
    }
}

/// How its samples are found.
#[derive(Clone, Copy)]
pub(super) enum Collect {
    Once(fn(&Status, &mut Family<'_>)),
    PerTarget(fn(&TargetStatus, &mut Family<'_>)),
}

/// One metric on its way into the exposition. It is described before its first sample; without one it is not there.
pub(super) struct Family<'a> {
    metric: &'static Metric,
    format: Format,
    target: &'a str,
    described: bool,
    to: &'a mut String,
}

impl<'a> Family<'a> {
    pub(super) fn new(metric: &'static Metric, format: Format, to: &'a mut String) -> Self {
        Self { metric, format, target: "", described: false, to }
    }

    /// The samples that follow are of this target.
    pub(super) fn of_target(&mut self, name: &'a str) {
        self.target = name;
    }

    /// Adds a sample; `labels` are the values of the labels after `target`.
    pub(super) fn push(&mut self, labels: &[&str], value: f64) {
        self.sample("", labels, None, value);
    }

    /// Adds an amount of memory.
    pub(super) fn bytes(&mut self, labels: &[&str], bytes: Bytes) {
        self.push(labels, bytes.as_f64());
    }

    /// Adds a count.
    pub(super) fn count(&mut self, labels: &[&str], count: u64) {
        self.push(labels, count as f64);
    }

    /// Adds a yes as 1 or a no as 0.
    pub(super) fn flag(&mut self, labels: &[&str], yes: bool) {
        self.push(labels, f64::from(u8::from(yes)));
    }

    /// Adds the series of a histogram.
    pub(super) fn durations(&mut self, labels: &[&str], durations: &Durations) {
        for (bound, count) in durations.up_to() {
            self.sample("_bucket", labels, Some(bound), count as f64);
        }
        let count = durations.count() as f64;
        self.sample("_bucket", labels, Some(f64::INFINITY), count);
        self.sample("_sum", labels, None, durations.seconds());
        self.sample("_count", labels, None, count);
    }

    fn sample(&mut self, ending: &str, labels: &[&str], bound: Option<f64>, value: f64) {
        let Metric { name, kind, help, .. } = *self.metric;
        if !std::mem::replace(&mut self.described, true) {
            text::describe(self.format, (name, kind.as_str(), help), self.to);
        }
        let of_target = matches!(self.metric.collect, Collect::PerTarget(_));
        let values = of_target.then_some(self.target).into_iter().chain(labels.iter().copied());
        let labels = self.metric.labels.iter().map(|(name, _)| *name).zip(values);
        text::sample((name, ending), labels, bound, value, self.to);
    }
}
