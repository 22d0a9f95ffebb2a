//! The variables of the dashboards: data sources, which watchdogs, which targets, and what links begin with.

use serde::Deserialize;
use serde_json::{Value, json};

/// How a panel names its data source.
pub(super) const DATASOURCE: &str = "${datasource}";

/// A variable; each is offered as the box that its values need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Variable {
    /// The Prometheus.
    Datasource,
    /// The jobs that scrape watchdogs.
    Job,
    /// Where they run; a scrape without this label is matched by All.
    Namespace,
    /// The watchdogs.
    Instance,
    /// The targets of these watchdogs.
    Target,
    /// One target, whichever watchdog sees it.
    OneTarget,
    /// The watchdogs that see this target.
    InstanceOfTarget,
    /// The jobs that scrape services.
    Service,
    /// Where they run.
    NamespaceOfService,
    /// Their processes.
    InstanceOfService,
    /// How far ahead the forecast is drawn, in seconds.
    Ahead,
    /// What links to a watchdog's page begin with.
    Page,
    /// The Loki that incidents are pushed to.
    Loki,
}

/// As Grafana reads it.
pub(super) fn render(variable: Variable) -> Value {
    let watchdogs = r#"oomen_build_info{job=~"$job", namespace=~"$namespace"}"#;
    let targets = r#"oomen_target_up{job=~"$job", namespace=~"$namespace", instance=~"$instance"}"#;
    let one = r#"oomen_target_up{job=~"$job", namespace=~"$namespace", target=~"$target"}"#;
    let processes = r#"http_requests_total{job=~"$job", namespace=~"$namespace"}"#;
    match variable {
        Variable::Datasource => datasource("datasource", "Data source", "prometheus"),
        Variable::Loki => datasource("loki", "Loki", "loki"),
        Variable::Job => several("job", "Job", "oomen_build_info", ".+"),
        Variable::Namespace => {
            several("namespace", "Namespace", r#"oomen_build_info{job=~"$job"}"#, ".*")
        }
        Variable::Instance => several("instance", "Watchdog", watchdogs, ".+"),
        Variable::Target => several("target", "Target", targets, ".+"),
        Variable::InstanceOfTarget => several("instance", "Watchdog", one, ".+"),
        Variable::OneTarget => {
            let selector = r#"oomen_target_up{job=~"$job", namespace=~"$namespace"}"#;
            query("target", "Target", selector)
        }
        Variable::Service => several("job", "Service", "http_requests_total", ".+"),
        Variable::NamespaceOfService => {
            several("namespace", "Namespace", r#"http_requests_total{job=~"$job"}"#, ".*")
        }
        Variable::InstanceOfService => several("instance", "Process", processes, ".+"),
        Variable::Ahead => ahead(),
        Variable::Page => page(),
    }
}

fn datasource(name: &str, label: &str, kind: &str) -> Value {
    json!({
        "name": name, "label": label, "type": "datasource", "query": kind, "regex": "",
        "refresh": 1, "hide": 0, "multi": false, "includeAll": false, "current": {},
    })
}

/// One value of a label.
fn query(name: &str, label: &str, selector: &str) -> Value {
    let query = format!("label_values({selector}, {name})");
    json!({
        "name": name, "label": label, "type": "query",
        "datasource": { "type": "prometheus", "uid": DATASOURCE },
        "definition": query, "query": { "query": query, "refId": "Variable" },
        "refresh": 2, "sort": 1, "hide": 0,
        "multi": false, "includeAll": false, "current": {},
    })
}

/// Any number of values of a label, all at first.
fn several(name: &str, label: &str, selector: &str, all: &str) -> Value {
    let mut variable = query(name, label, selector);
    variable["multi"] = json!(true);
    variable["includeAll"] = json!(true);
    variable["allValue"] = json!(all);
    variable["current"] = json!({ "text": ["All"], "value": ["$__all"] });
    variable
}

fn ahead() -> Value {
    let choices = [("1 min", 60), ("10 min", 600), ("1 h", 3600), ("6 h", 21600), ("1 day", 86400)];
    let chosen = 600;
    let option = |(text, value): &(&str, u32)| json!({ "text": text, "value": value.to_string(), "selected": *value == chosen });
    let options: Vec<_> = choices.iter().map(option).collect();
    let text: Vec<_> = choices.iter().map(|(text, value)| format!("{text} : {value}")).collect();
    json!({
        "name": "ahead", "label": "Forecast for", "type": "custom", "query": text.join(", "),
        "description": "How far ahead the forecast of memory is drawn.",
        "options": options, "current": { "text": "10 min", "value": chosen.to_string() },
        "hide": 0, "multi": false, "includeAll": false,
    })
}

fn page() -> Value {
    let start = "http://";
    json!({
        "name": "page", "label": "Page", "type": "textbox", "query": start,
        "description": "What stands before HOST:PORT of a watchdog in links to its page: http://, https://, or the \
            address of a proxy in front of the watchdogs with a slash at its end.",
        "options": [{ "text": start, "value": start, "selected": true }],
        "current": { "text": start, "value": start },
        "hide": 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_a_label_that_a_scrape_may_lack_matches_its_absence() {
        assert_eq!(render(Variable::Namespace)["allValue"], ".*");
        assert_eq!(render(Variable::Instance)["allValue"], ".+");
    }

    #[test]
    fn the_forecast_is_drawn_as_far_ahead_as_the_box_says() {
        let ahead = render(Variable::Ahead);
        let chosen = ahead["options"].as_array().expect("options").iter();
        let chosen: Vec<_> = chosen.filter(|option| option["selected"] == true).collect();
        assert_eq!(chosen.len(), 1);
        assert_eq!(chosen[0]["value"], ahead["current"]["value"]);
        assert_eq!(chosen[0]["text"], ahead["current"]["text"]);
    }
}
