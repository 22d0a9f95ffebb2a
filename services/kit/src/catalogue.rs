//! All metrics of the shop: one list that the services register from and that `docs/shop-metrics.md` is written from.
//!
//! A metric that is not declared here cannot be registered through this module, and a test compares the document.

pub mod events;
pub mod notifications;
pub mod orders;
pub mod recommendations;
pub mod shared;
pub mod stock;

use std::fmt::Write as _;

use prometheus::core::Collector;
use prometheus::{
    CounterVec, Error, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry,
};

/// What a label's values are.
#[derive(Clone, Copy, Debug)]
pub enum Values {
    /// Exactly these. When all labels of a counter or gauge are such, every series is there from the start, as zero.
    Of(&'static [&'static str]),
    /// Bounded by what these words say.
    Bounded(&'static str),
}

/// What kind of metric.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Counts by size; the upper bounds of its buckets, in its unit.
    Histogram(&'static [f64]),
}

/// One metric, as it is declared.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Its unit, in words.
    pub unit: &'static str,
    /// Its labels and what their values are.
    pub labels: &'static [(&'static str, Values)],
    /// What it tells, in a sentence.
    pub help: &'static str,
    /// When it is not there.
    pub absent: &'static str,
}

/// The sections of the document, each with its metrics.
const SECTIONS: [(&str, &[&[Metric]]); 5] = [
    ("Every service", &[shared::METRICS, events::METRICS]),
    ("inventory", &[stock::METRICS]),
    ("orders and payments", &[orders::METRICS]),
    ("notifications", &[notifications::METRICS]),
    ("recommendations", &[recommendations::METRICS]),
];

impl Metric {
    /// Registers a counter of whole things.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn counter(&self, registry: &Registry) -> Result<IntCounterVec, Error> {
        let counter = IntCounterVec::new(self.opts(), &self.label_names())?;
        self.every_series(|values| drop(counter.with_label_values(values)));
        self.registered(registry, counter)
    }

    /// Registers a counter without labels.
    ///
    /// # Errors
    /// When the name is taken, or the metric has labels.
    pub fn plain_counter(&self, registry: &Registry) -> Result<IntCounter, Error> {
        self.counter(registry)?.get_metric_with_label_values::<&str>(&[])
    }

    /// Registers a counter of fractions, such as seconds.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn float_counter(&self, registry: &Registry) -> Result<CounterVec, Error> {
        let counter = CounterVec::new(self.opts(), &self.label_names())?;
        self.every_series(|values| drop(counter.with_label_values(values)));
        self.registered(registry, counter)
    }

    /// Registers a gauge of whole things.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn gauge(&self, registry: &Registry) -> Result<IntGaugeVec, Error> {
        let gauge = IntGaugeVec::new(self.opts(), &self.label_names())?;
        self.every_series(|values| drop(gauge.with_label_values(values)));
        self.registered(registry, gauge)
    }

    /// Registers a gauge without labels.
    ///
    /// # Errors
    /// When the name is taken, or the metric has labels.
    pub fn plain_gauge(&self, registry: &Registry) -> Result<IntGauge, Error> {
        self.gauge(registry)?.get_metric_with_label_values::<&str>(&[])
    }

    /// Registers a gauge of fractions, such as seconds.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn float_gauge(&self, registry: &Registry) -> Result<GaugeVec, Error> {
        let gauge = GaugeVec::new(self.opts(), &self.label_names())?;
        self.every_series(|values| drop(gauge.with_label_values(values)));
        self.registered(registry, gauge)
    }

    /// Registers a histogram.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn histogram(&self, registry: &Registry) -> Result<HistogramVec, Error> {
        let buckets = match self.kind {
            Kind::Histogram(buckets) => buckets.to_vec(),
            Kind::Counter | Kind::Gauge => prometheus::DEFAULT_BUCKETS.to_vec(),
        };
        let opts = HistogramOpts::from(self.opts()).buckets(buckets);
        let histogram = HistogramVec::new(opts, &self.label_names())?;
        self.every_series(|values| drop(histogram.with_label_values(values)));
        self.registered(registry, histogram)
    }

    fn registered<C: Collector + Clone + 'static>(
        &self,
        registry: &Registry,
        collector: C,
    ) -> Result<C, Error> {
        registry.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    fn opts(&self) -> Opts {
        Opts::new(self.name, self.help)
    }

    fn label_names(&self) -> Vec<&'static str> {
        self.labels.iter().map(|(name, _)| *name).collect()
    }

    /// Calls `make` with every combination of values, if all are known.
    fn every_series(&self, mut make: impl FnMut(&[&'static str])) {
        let mut combinations: Vec<Vec<&'static str>> = vec![Vec::new()];
        for (_, values) in self.labels {
            let Values::Of(values) = values else { return };
            let longer = |one: Vec<&'static str>| {
                values.iter().map(move |value| [one.as_slice(), &[*value]].concat())
            };
            combinations = combinations.into_iter().flat_map(longer).collect();
        }
        combinations.iter().for_each(|values| make(values));
    }

    fn row(&self) -> String {
        let kind = match self.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let labels = self.labels.iter().map(|(name, values)| match values {
            Values::Of(values) => format!("`{name}`: {}", values.join(", ")),
            Values::Bounded(words) => format!("`{name}`: {words}"),
        });
        let labels: Vec<String> = labels.collect();
        let labels = if labels.is_empty() { "–".to_owned() } else { labels.join("; ") };
        let Self { name, unit, help, absent, .. } = self;
        format!("| `{name}` | {kind} | {unit} | {labels} | {help} | {absent} |")
    }
}

/// Every metric that is declared.
pub fn all() -> impl Iterator<Item = &'static Metric> {
    SECTIONS.iter().flat_map(|(_, lists)| lists.iter().flat_map(|list| list.iter()))
}

/// The catalogue as Markdown; `docs/shop-metrics.md` is this text.
pub fn markdown() -> String {
    let mut text = String::from(
        "# Metrics of the shop\n\n\
         What `GET /metrics` on the admin port of a shop service serves. This page is generated from the code; \
         `UPDATE_GOLDEN=1 cargo test -p services-kit --test catalogue` writes it anew.\n\n\
         Times are seconds. A counter whose labels have known values is there from the start, as zero.\n",
    );
    for (title, lists) in &SECTIONS {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n## {title}\n\n\
             | name | type | unit | labels | meaning | absent |\n\
             |---|---|---|---|---|---|\n"
        );
        for metric in lists.iter().flat_map(|list| list.iter()) {
            let _ = writeln!(text, "{}", metric.row());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prometheus::TextEncoder;

    use super::*;

    const EXAMPLE: Metric = Metric {
        name: "example_total",
        kind: Kind::Counter,
        unit: "things",
        labels: &[("a", Values::Of(&["x", "y"])), ("b", Values::Of(&["u", "v"]))],
        help: "Things.",
        absent: "never",
    };

    fn text(registry: &Registry) -> String {
        TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
    }

    #[test]
    fn every_series_of_known_labels_is_there_as_zero_and_none_of_unknown_ones() {
        let registry = Registry::new();
        EXAMPLE.counter(&registry).unwrap();
        let shown = text(&registry);
        for series in [r#"a="x",b="u""#, r#"a="x",b="v""#, r#"a="y",b="u""#, r#"a="y",b="v""#] {
            assert!(shown.contains(&format!("example_total{{{series}}} 0")), "{shown}");
        }
        let registry = Registry::new();
        let labels = &[("a", Values::Of(&["x"])), ("route", Values::Bounded("routes"))];
        Metric { labels, ..EXAMPLE }.counter(&registry).unwrap();
        assert_eq!(text(&registry), "");
    }

    #[test]
    fn a_metric_without_labels_is_there_from_the_start() {
        let registry = Registry::new();
        let counter = Metric { labels: &[], ..EXAMPLE }.plain_counter(&registry).unwrap();
        counter.inc();
        assert!(text(&registry).contains("example_total 1"));
        let again = Metric { labels: &[], ..EXAMPLE }.plain_counter(&registry);
        assert!(again.is_err(), "one name, two metrics");
    }

    #[test]
    fn names_are_unique_counters_end_in_total_and_times_in_seconds() {
        let mut seen = BTreeSet::new();
        for metric in all() {
            let name = metric.name;
            assert!(seen.insert(name), "{name} is declared twice");
            assert_eq!(matches!(metric.kind, Kind::Counter), name.ends_with("_total"), "{name}");
            assert_eq!(metric.unit == "seconds", name.ends_with("_seconds"), "{name}");
            assert!(metric.help.ends_with('.') && !metric.absent.is_empty(), "{name}");
        }
    }
}
