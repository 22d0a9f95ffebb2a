//! What a dashboard's queries return for the time and the variables of a picture.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

use super::look::list;
use crate::http;
use crate::test::prometheus::Prometheus;

/// Between two scrapes.
const SCRAPE: f64 = 1.0;
/// Between two values.
const PIXELS: f64 = 3.0;

/// A series with its values by time, both in Grafana's order.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Series {
    pub(super) labels: BTreeMap<String, String>,
    /// Unix seconds and values.
    pub(super) points: Vec<(f64, f64)>,
}

impl Series {
    /// What a legend like `{{target}} {{instance}}` calls it.
    pub(super) fn name(&self, legend: &str) -> String {
        self.labels.iter().fold(legend.to_owned(), |text, (label, value)| {
            text.replace(&format!("{{{{{label}}}}}"), value)
        })
    }
}

/// The time and the variables of a picture.
pub(super) struct Shown<'a> {
    pub(super) prometheus: &'a Prometheus,
    /// Unix seconds.
    pub(super) start: f64,
    pub(super) end: f64,
    /// Names, what is written for them in queries, and what the box says.
    pub(super) variables: Vec<(String, String, String)>,
}

impl Shown<'_> {
    /// The variables of a dashboard as they are at first, but for those that are chosen.
    pub(super) fn choose(
        dashboard: &Value,
        chosen: &[(&str, &str)],
    ) -> Vec<(String, String, String)> {
        let of = |variable: &Value| {
            let name = variable["name"].as_str().unwrap_or_default().to_owned();
            let current = &variable["current"];
            let value = match chosen.iter().find(|(known, _)| *known == name) {
                Some((_, value)) => [(*value).to_owned(), (*value).to_owned()],
                None => match variable["allValue"].as_str() {
                    Some(all) => [all.to_owned(), "All".to_owned()],
                    None => ["value", "text"]
                        .map(|key| current[key].as_str().unwrap_or("Prometheus").to_owned()),
                },
            };
            let [value, text] = value;
            (name, value, text)
        };
        list(&dashboard["templating"]["list"]).map(of).collect()
    }

    /// A text with its variables replaced.
    pub(super) fn written(&self, text: &str, step: f64) -> String {
        let interval = (step + SCRAPE).max(4.0 * SCRAPE);
        let text = text
            .replace("$__rate_interval", &format!("{interval:.0}s"))
            .replace("$__range", &format!("{:.0}s", self.end - self.start));
        self.variables
            .iter()
            .fold(text, |text, (name, value, _)| text.replace(&format!("${name}"), value))
    }

    /// Seconds between two values for this many pixels: coarser than Grafana's, as a picture has no zoom.
    pub(super) fn step(&self, pixels: f64) -> f64 {
        ((self.end - self.start) / pixels * PIXELS).ceil().max(SCRAPE)
    }

    /// What a query returns over the time.
    pub(super) fn over(&self, query: &str, step: f64) -> Result<Vec<Series>> {
        let query = http::encode(&self.written(query, step));
        let (start, end) = (self.start, self.end);
        let path = format!("/api/v1/query_range?query={query}&start={start}&end={end}&step={step}");
        series(&self.prometheus.api(&path)?)
    }

    /// What a query returns at its end.
    pub(super) fn now(&self, query: &str) -> Result<Vec<Series>> {
        let query = http::encode(&self.written(query, SCRAPE));
        series(&self.prometheus.api(&format!("/api/v1/query?query={query}&time={}", self.end))?)
    }
}

fn series(data: &Value) -> Result<Vec<Series>> {
    list(&data["result"]).map(one).collect()
}

fn one(result: &Value) -> Result<Series> {
    let labels = result["metric"].as_object().context("a series without labels")?;
    let labels = labels
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()));
    let points = list(&result["values"]).chain(result.get("value"));
    let points = points.map(|point| {
        let value = point[1].as_str().context("a value is a text")?.parse::<f64>()?;
        Ok((point[0].as_f64().context("a time is a number")?, value))
    });
    let points = points.filter(|point| point.as_ref().map_or(true, |(_, value)| value.is_finite()));
    Ok(Series { labels: labels.collect(), points: points.collect::<Result<_>>()? })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn results_over_time_and_of_now_are_read_and_what_is_no_number_is_left_out() {
        let over = json!({ "result": [
            { "metric": { "target": "a" }, "values": [[1, "0.5"], [2, "NaN"], [3, "+Inf"], [4, "1e3"]] },
        ] });
        let read = series(&over).expect("a series");
        assert_eq!(read[0].points, [(1.0, 0.5), (4.0, 1000.0)]);
        assert_eq!(read[0].name("{{target}} x"), "a x");
        let now = json!({ "result": [{ "metric": {}, "value": [7.5, "3"] }] });
        assert_eq!(series(&now).expect("a series")[0].points, [(7.5, 3.0)]);
    }

    #[test]
    fn a_variable_is_what_was_chosen_or_all_or_what_it_is_at_first() {
        let dashboard = json!({ "templating": { "list": [
            { "name": "job", "allValue": ".+" },
            { "name": "target", "current": {} },
            { "name": "ahead", "current": { "text": "10 min", "value": "600" } },
        ] } });
        let variables = Shown::choose(&dashboard, &[("target", "orders")]);
        let all: Vec<_> =
            variables.iter().map(|(_, value, text)| format!("{value} {text}")).collect();
        assert_eq!(all, [".+ All", "orders orders", "600 10 min"]);
    }
}
