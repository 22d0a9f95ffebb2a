//! Which series a target's rules judge: a metric, and labels that are filled in per target.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::rules::TargetFit;

/// What the watchdog itself says of a target's memory.
const METRIC: &str = "oomen_target_memory_used_bytes";
/// More labels than this are a mistake.
const MAX_LABELS: usize = 16;

/// A selector that Prometheus would refuse, or that could not tell targets apart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// It is no name of a metric.
    #[error("`{0}` is no metric: take letters, digits, `_` and `:`, no digit first")]
    Metric(String),
    /// It is no name of a label.
    #[error("`{0}` is no label: take letters, digits and `_`, no digit first")]
    Label(String),
    /// Too many.
    #[error("{0} labels are more than {MAX_LABELS}")]
    TooMany(usize),
    /// A `{…}` that stands for nothing.
    #[error(
        "`{0}` stands for nothing: there are {{target}}, {{workload}}, {{namespace}} and {{pod}}"
    )]
    Placeholder(String),
    /// All targets would have the same series.
    #[error(
        "no label holds {{target}}, {{workload}} or {{pod}}: every target would be judged by the same series"
    )]
    NoTarget,
}

/// A metric in bytes and the labels that choose a target's series of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    metric: String,
    labels: BTreeMap<String, String>,
}

impl Default for Selector {
    /// The watchdog's own series.
    fn default() -> Self {
        let labels = [("target", "{target}"), ("namespace", "{namespace}"), ("pod", "{pod}")];
        Self {
            metric: METRIC.into(),
            labels: labels.map(|(name, value)| (name.into(), value.into())).into(),
        }
    }
}

impl Selector {
    /// A selector of `metric`, by labels whose values may hold `{target}`, `{workload}`, `{namespace}` and `{pod}`. A
    /// label that asks for what a target does not have is left out.
    ///
    /// # Errors
    /// [`SelectorError`].
    pub fn new(metric: &str, labels: BTreeMap<String, String>) -> Result<Self, SelectorError> {
        if !is_name(metric, ":_") {
            return Err(SelectorError::Metric(metric.chars().take(80).collect()));
        }
        if labels.len() > MAX_LABELS {
            return Err(SelectorError::TooMany(labels.len()));
        }
        for (name, value) in &labels {
            if !is_name(name, "_") || name == "__name__" {
                return Err(SelectorError::Label(name.chars().take(80).collect()));
            }
            fill(value, &TargetFit::default())?;
        }
        let tells = |value: &String| {
            ["{target}", "{workload}", "{pod}"].iter().any(|name| value.contains(name))
        };
        if !labels.values().any(tells) {
            return Err(SelectorError::NoTarget);
        }
        Ok(Self { metric: metric.to_owned(), labels })
    }

    /// The same with further labels, or with others in place of those of the same name.
    ///
    /// # Errors
    /// [`SelectorError`].
    pub fn with(mut self, labels: BTreeMap<String, String>) -> Result<Self, SelectorError> {
        self.labels.extend(labels);
        Self::new(&self.metric, self.labels)
    }

    /// The selector of one target's series, as PromQL.
    pub(super) fn series(&self, fit: &TargetFit) -> String {
        let mut matchers = String::new();
        for (name, value) in &self.labels {
            if let Ok(Some(value)) = fill(value, fit) {
                let comma = if matchers.is_empty() { "" } else { "," };
                // Writing to a String cannot fail.
                let _ = write!(matchers, "{comma}{name}={}", quoted(&value));
            }
        }
        format!("{}{{{matchers}}}", self.metric)
    }
}

fn is_name(name: &str, also: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || also.contains(c);
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(fits)
}

/// A label's value for one target; `None` where it asks for what the target does not have.
fn fill(value: &str, fit: &TargetFit) -> Result<Option<String>, SelectorError> {
    let mut filled = String::new();
    let mut rest = value;
    let mut known = true;
    while let Some((before, from)) = rest.split_once('{') {
        let (name, after) =
            from.split_once('}').ok_or_else(|| SelectorError::Placeholder(value.to_owned()))?;
        let part = match name {
            "target" => Some(&fit.target),
            "workload" => Some(fit.workload.as_ref().unwrap_or(&fit.target)),
            "namespace" => fit.namespace.as_ref(),
            "pod" => fit.pod.as_ref(),
            _ => return Err(SelectorError::Placeholder(format!("{{{name}}}"))),
        };
        filled.push_str(before);
        known &= part.is_some();
        filled.push_str(part.map_or("", String::as_str));
        rest = after;
    }
    filled.push_str(rest);
    Ok(known.then_some(filled))
}

/// A string of PromQL, which follows Go's rules.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() || c == '\u{feff}' => {
                // Writing to a String cannot fail.
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit() -> TargetFit {
        TargetFit {
            target: "orders-2".into(),
            workload: Some("orders".into()),
            ..TargetFit::default()
        }
    }

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_label_that_the_target_does_not_have_is_left_out() {
        let selector = Selector::default();
        assert_eq!(selector.series(&fit()), "oomen_target_memory_used_bytes{target=\"orders-2\"}");
        let fit =
            TargetFit { namespace: Some("shop".into()), pod: Some("orders-7".into()), ..fit() };
        assert_eq!(
            selector.series(&fit),
            "oomen_target_memory_used_bytes{namespace=\"shop\",pod=\"orders-7\",target=\"orders-2\"}"
        );
    }

    #[test]
    fn another_exporters_series_is_chosen_by_what_the_target_is_called_there() {
        let labels =
            labels(&[("container", "{workload}"), ("id", "/shop/{target}.slice"), ("x", "y")]);
        let selector = Selector::new("container_memory_rss", labels).expect("a selector");
        assert_eq!(
            selector.series(&fit()),
            r#"container_memory_rss{container="orders",id="/shop/orders-2.slice",x="y"}"#
        );
    }

    #[test]
    fn the_watchdogs_own_series_can_be_chosen_more_narrowly() {
        let narrow = Selector::default().with(labels(&[("instance", "db-1:9911")]));
        assert_eq!(
            narrow.expect("a selector").series(&fit()),
            r#"oomen_target_memory_used_bytes{instance="db-1:9911",target="orders-2"}"#
        );
    }

    #[test]
    fn whatever_a_target_is_called_stays_within_its_string() {
        let target = "a\"} or up{x=\"\\\n\u{85}é{{.}}";
        let fit = TargetFit { target: target.into(), ..TargetFit::default() };
        assert_eq!(
            Selector::default().series(&fit),
            r#"oomen_target_memory_used_bytes{target="a\"} or up{x=\"\\\u000a\u0085é{{.}}"}"#
        );
    }

    #[test]
    fn what_prometheus_would_refuse_is_refused_with_a_hint() {
        let one = |metric: &str, name: &str, value: &str| {
            Selector::new(metric, labels(&[(name, value)])).map(|_| ())
        };
        assert_eq!(one("a:b_1", "x", "{pod}"), Ok(()));
        for metric in ["", "1a", "a-b", "a{"] {
            assert_eq!(one(metric, "x", "{pod}"), Err(SelectorError::Metric(metric.into())));
        }
        for label in ["", "1a", "a:b", "__name__"] {
            assert_eq!(one("a", label, "{pod}"), Err(SelectorError::Label(label.into())));
        }
        assert_eq!(one("a", "x", "{node}"), Err(SelectorError::Placeholder("{node}".into())));
        assert_eq!(one("a", "x", "{pod"), Err(SelectorError::Placeholder("{pod".into())));
        assert_eq!(one("a", "x", "y"), Err(SelectorError::NoTarget));
    }
}
