//! A metric's description and the family that is filled from it on a scrape.

use prometheus::proto::{Counter, Gauge, LabelPair, Metric as Series, MetricFamily, MetricType};
use watchdog_core::units::Bytes;

use crate::status::{Status, TargetStatus};

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
}

/// How its samples are found.
#[derive(Clone, Copy)]
pub(super) enum Collect {
    Once(fn(&Status, &mut Family)),
    PerTarget(fn(&TargetStatus, &mut Family)),
}

/// The samples of one metric.
pub(super) struct Family {
    metric: &'static Metric,
    target: Option<String>,
    series: Vec<Series>,
}

impl Family {
    pub(super) fn new(metric: &'static Metric) -> Self {
        Self { metric, target: None, series: Vec::new() }
    }

    /// The samples that follow are of this target.
    pub(super) fn of_target(&mut self, name: &str) {
        self.target = Some(name.to_owned());
    }

    /// Adds a sample; `labels` are the values of the labels after `target`.
    pub(super) fn push(&mut self, labels: &[&str], value: f64) {
        let values = self.target.as_deref().into_iter().chain(labels.iter().copied());
        let pairs = self.metric.labels.iter().zip(values).map(|((name, _), value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value(value.to_owned());
            pair
        });
        let mut series = Series::from_label(pairs.collect());
        match self.metric.kind {
            Kind::Gauge => {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                series.set_gauge(gauge);
            }
            Kind::Counter => {
                let mut counter = Counter::default();
                counter.set_value(value);
                series.set_counter(counter);
            }
        }
        self.series.push(series);
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

    pub(super) fn finish(self) -> Option<MetricFamily> {
        if self.series.is_empty() {
            return None;
        }
        let mut family = MetricFamily::default();
        family.set_name(self.metric.name.to_owned());
        family.set_help(self.metric.help.to_owned());
        family.set_field_type(match self.metric.kind {
            Kind::Gauge => MetricType::GAUGE,
            Kind::Counter => MetricType::COUNTER,
        });
        family.set_metric(self.series);
        Some(family)
    }
}
