//! The queries of a dashboard as Prometheus gets them: of its panels, its annotations and its variables.

use std::collections::BTreeSet;

use serde_json::Value;

/// What stands for each variable; the scrape interval in the lab is a second.
const VARIABLES: [(&str, &str); 7] = [
    ("$__rate_interval", "10s"),
    ("$__range", "1m"),
    ("$job", ".+"),
    ("$namespace", ".*"),
    ("$instance", ".+"),
    ("$target", ".+"),
    ("$ahead", "600"),
];

/// What stands before a label's name in legends and in links.
const LABELS: [&str; 2] = ["{{", "__field.labels."];

/// One query.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Query {
    /// Where it stands: `dashboard: panel A`.
    pub(super) place: String,
    /// With its variables replaced.
    pub(super) expression: String,
    /// Asked for over time, not only for now.
    pub(super) over_time: bool,
    /// The labels that its legend, its titles and its links name.
    pub(super) labels: BTreeSet<String>,
}

/// Every query of the dashboard to Prometheus.
pub(super) fn of(name: &str, dashboard: &Value) -> Vec<Query> {
    let query = |place: String, expression: &str, over_time: bool, shown: &str| Query {
        place: format!("{name}: {place}"),
        expression: substituted(expression),
        over_time,
        labels: LABELS.iter().flat_map(|start| named(shown, start)).collect(),
    };
    let panels = list(&dashboard["panels"]).flat_map(|panel| {
        list(&panel["targets"]).map(move |target| {
            query(
                format!("{} {}", text(&panel["title"]), text(&target["refId"])),
                text(&target["expr"]),
                target["instant"] != true,
                &format!(
                    "{} {}",
                    target["legendFormat"], panel["fieldConfig"]["defaults"]["links"]
                ),
            )
        })
    });
    let annotations = list(&dashboard["annotations"]["list"])
        .filter(|annotation| annotation["datasource"]["type"] != "loki")
        .map(|annotation| {
            let place = format!("annotation {}", text(&annotation["name"]));
            let shown = format!("{} {}", annotation["titleFormat"], annotation["textFormat"]);
            query(place, text(&annotation["expr"]), true, &shown)
        });
    let variables = list(&dashboard["templating"]["list"])
        .filter(|variable| variable["type"] == "query")
        .map(|variable| {
            let asked = text(&variable["query"]["query"]);
            query(
                format!("variable {}", text(&variable["name"])),
                &values_of_label(asked),
                false,
                "",
            )
        });
    panels.chain(annotations).chain(variables).collect()
}

/// The words that follow each `start`.
fn named(text: &str, start: &str) -> Vec<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let after = text.split(start).skip(1);
    after.map(|rest| rest.split(|c| !is_word(c)).next().unwrap_or_default().to_owned()).collect()
}

/// `label_values(selector, label)` is Grafana's; to Prometheus it is the selected series that have the label.
fn values_of_label(query: &str) -> String {
    let arguments = query
        .strip_prefix("label_values(")
        .and_then(|rest| rest.strip_suffix(')'))
        .and_then(|inside| inside.rsplit_once(','));
    let Some((selector, label)) = arguments else { return query.to_owned() };
    let label = label.trim();
    match selector.trim().strip_suffix('}') {
        Some(open) => format!("{open}, {label}!=\"\"}}"),
        None => format!("{}{{{label}!=\"\"}}", selector.trim()),
    }
}

fn substituted(expression: &str) -> String {
    VARIABLES.iter().fold(expression.to_owned(), |text, (name, value)| text.replace(name, value))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_query_is_found_with_its_variables_replaced() {
        let dashboard = json!({
            "panels": [{
                "title": "P",
                "fieldConfig": {"defaults": {"links": [{"url": "${__field.labels.instance}/x"}]}},
                "targets": [{
                    "refId": "A", "expr": "rate(x{job=~\"$job\"}[$__rate_interval])",
                    "legendFormat": "{{sink}} {{outcome}}",
                }],
            }],
            "annotations": {"list": [
                {"name": "N", "expr": "ALERTS"},
                {"name": "L", "expr": "{}", "datasource": {"type": "loki"}},
            ]},
            "templating": {"list": [
                {"name": "datasource", "type": "datasource"},
                {"name": "job", "type": "query", "query": {"query": "label_values(up, job)"}},
            ]},
        });
        let queries = of("d", &dashboard);
        let places: Vec<_> = queries.iter().map(|query| query.place.as_str()).collect();
        assert_eq!(places, ["d: P A", "d: annotation N", "d: variable job"]);
        let labels: Vec<_> = queries[0].labels.iter().map(String::as_str).collect();
        assert_eq!(labels, ["instance", "outcome", "sink"]);
        let over_time: Vec<_> = queries.iter().map(|query| query.over_time).collect();
        assert_eq!(over_time, [true, true, false]);
        assert_eq!(queries[0].expression, "rate(x{job=~\".+\"}[10s])");
        assert_eq!(queries[2].expression, "up{job!=\"\"}");
    }

    #[test]
    fn the_values_of_a_label_are_the_series_that_have_it() {
        assert_eq!(values_of_label("label_values(x{a=\"b\"}, c)"), "x{a=\"b\", c!=\"\"}");
    }
}
