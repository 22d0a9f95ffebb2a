//! The conventions of a dashboard, as Grafana's dashboard-linter has them, and ours.

use std::collections::BTreeSet;

use serde_json::Value;

const SCHEMA: u64 = 39;
const WIDTH: u64 = 24;
const DATASOURCE: &str = "${datasource}";
const QUERY_VARIABLES: [&str; 3] = ["job", "instance", "target"];
const COUNTED_OVER_TIME: [&str; 3] = ["rate(", "irate(", "increase("];

/// What breaks a convention, one line each.
pub(super) fn find(name: &str, dashboard: &Value) -> Vec<String> {
    let mut found = head(name, dashboard);
    found.extend(variables(dashboard));
    let panels: Vec<_> = dashboard["panels"].as_array().into_iter().flatten().collect();
    if panels.is_empty() {
        found.push("no panels".into());
    }
    let (mut titles, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for each in panels {
        let title = text(each, "title");
        if !titles.insert(title) || !ids.insert(each["id"].as_u64()) {
            found.push(format!("{title}: title and id are not its own"));
        }
        found.extend(panel(each).into_iter().map(|what| format!("{title}: {what}")));
    }
    found
}

fn head(name: &str, dashboard: &Value) -> Vec<String> {
    let rules = [
        (text(dashboard, "uid") == name, "the uid is not the file's name"),
        (!text(dashboard, "title").is_empty(), "no title"),
        (!text(dashboard, "description").is_empty(), "no description"),
        (dashboard["schemaVersion"] == SCHEMA, "the schemaVersion is not 39"),
        (dashboard["editable"] == false, "it is editable"),
        (text(dashboard, "timezone") == "utc", "the timezone is not utc"),
        (dashboard.get("id").is_none_or(Value::is_null), "the id of one Grafana is in it"),
    ];
    broken(&rules)
}

fn variables(dashboard: &Value) -> Vec<String> {
    let list = dashboard["templating"]["list"].as_array().map(Vec::as_slice).unwrap_or_default();
    let variable = |name: &str| list.iter().find(|variable| variable["name"] == name);
    let mut found = Vec::new();
    if !variable("datasource")
        .is_some_and(|v| v["type"] == "datasource" && v["query"] == "prometheus")
    {
        found.push("no variable datasource of type datasource for prometheus".into());
    }
    for name in QUERY_VARIABLES {
        let good = variable(name).is_some_and(|variable| {
            variable["type"] == "query"
                && variable["refresh"] == 2
                && variable["multi"] == true
                && variable["allValue"] == ".+"
                && variable["datasource"]["uid"] == DATASOURCE
        });
        if !good {
            found.push(format!(
                "no variable {name}: query, multi, allValue .+, refresh on time change"
            ));
        }
    }
    found
}

fn panel(panel: &Value) -> Vec<String> {
    let targets: Vec<_> = panel["targets"].as_array().into_iter().flatten().collect();
    let place = &panel["gridPos"];
    let right = place["x"].as_u64().zip(place["w"].as_u64()).map(|(x, w)| x.saturating_add(w));
    let mut found = broken(&[
        (!text(panel, "title").is_empty(), "no title"),
        (!text(panel, "description").is_empty(), "no description"),
        (!text(&panel["fieldConfig"]["defaults"], "unit").is_empty(), "no unit"),
        (panel["datasource"]["uid"] == DATASOURCE, "its data source is not the variable"),
        (!targets.is_empty(), "no query"),
        (right.is_some_and(|right| right <= WIDTH), "it reaches beyond the grid"),
    ]);
    let mut references = BTreeSet::new();
    for target in targets {
        let reference = text(target, "refId");
        if !references.insert(reference) {
            found.push(format!("two queries {reference}"));
        }
        found.extend(query(target).into_iter().map(|what| format!("query {reference}: {what}")));
    }
    found
}

fn query(target: &Value) -> Vec<String> {
    let expression = text(target, "expr");
    broken(&[
        (target["datasource"]["uid"] == DATASOURCE, "its data source is not the variable"),
        (!text(target, "legendFormat").is_empty(), "no legend"),
        (expression.contains("job=~\"$job\""), "it does not select by $job"),
        (expression.contains("instance=~\"$instance\""), "it does not select by $instance"),
        (
            !expression.contains("oomen_target_") || expression.contains("target=~\"$target\""),
            "it does not select by $target",
        ),
        (spans_are_the_interval(expression), "a rate is not over $__rate_interval"),
        (counters_are_counted_over_time(expression), "a counter is shown as it is"),
    ])
}

/// Every `[…]` of the query is Grafana's interval: a fixed one is empty or blurred at another zoom or scrape interval.
fn spans_are_the_interval(expression: &str) -> bool {
    let counted = COUNTED_OVER_TIME.iter().any(|function| expression.contains(function));
    let mut spans = expression.split('[').skip(1).peekable();
    (!counted || spans.peek().is_some()) && spans.all(|span| span.starts_with("$__rate_interval]"))
}

fn counters_are_counted_over_time(expression: &str) -> bool {
    !expression.contains("_total") || COUNTED_OVER_TIME.iter().any(|f| expression.contains(f))
}

fn broken(rules: &[(bool, &str)]) -> Vec<String> {
    rules.iter().filter(|(kept, _)| !kept).map(|(_, what)| (*what).to_owned()).collect()
}

fn text<'a>(of: &'a Value, key: &str) -> &'a str {
    of[key].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const QUERY: &str = r#"rate(x_total{job=~"$job", instance=~"$instance"}[$__rate_interval])"#;

    fn good() -> Value {
        let source = json!({"type": "prometheus", "uid": DATASOURCE});
        let query = |name: &str| {
            json!({"name": name, "type": "query", "refresh": 2, "multi": true, "allValue": ".+",
                   "datasource": source})
        };
        json!({
            "uid": "d", "title": "D", "description": "Of d.", "schemaVersion": 39, "editable": false,
            "timezone": "utc",
            "templating": {"list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus"},
                query("job"), query("instance"), query("target"),
            ]},
            "panels": [{
                "id": 1, "title": "P", "description": "Of p.", "datasource": source,
                "gridPos": {"x": 12, "y": 0, "w": 12, "h": 8},
                "fieldConfig": {"defaults": {"unit": "bytes"}},
                "targets": [{"refId": "A", "expr": QUERY, "legendFormat": "x", "datasource": source}],
            }],
        })
    }

    fn with(pointer: &str, value: Value) -> Vec<String> {
        let mut dashboard = good();
        *dashboard.pointer_mut(pointer).expect("a place in the good one") = value;
        find("d", &dashboard)
    }

    #[test]
    fn a_dashboard_that_keeps_them_passes() {
        assert_eq!(find("d", &good()), Vec::<String>::new());
    }

    #[test]
    fn each_broken_convention_is_found() {
        for (pointer, value) in [
            ("/uid", json!("other")),
            ("/title", json!("")),
            ("/description", json!(null)),
            ("/schemaVersion", json!(41)),
            ("/editable", json!(true)),
            ("/timezone", json!("browser")),
            ("/templating/list/0/query", json!("loki")),
            ("/templating/list/1/refresh", json!(1)),
            ("/templating/list/2/multi", json!(false)),
            ("/templating/list/3/allValue", json!(null)),
            ("/panels", json!([])),
            ("/panels/0/title", json!("")),
            ("/panels/0/description", json!("")),
            ("/panels/0/fieldConfig/defaults/unit", json!("")),
            ("/panels/0/datasource/uid", json!("prom-1")),
            ("/panels/0/targets", json!([])),
            ("/panels/0/gridPos/x", json!(13)),
            ("/panels/0/targets/0/datasource/uid", json!("prom-1")),
            ("/panels/0/targets/0/legendFormat", json!("")),
        ] {
            assert_eq!(with(pointer, value.clone()).len(), 1, "{pointer} {value}");
        }
    }

    #[test]
    fn each_broken_query_is_found() {
        for (from, to) in [
            ("job=~\"$job\", ", ""),
            (", instance=~\"$instance\"", ""),
            ("[$__rate_interval]", "[5m]"),
            ("[$__rate_interval]", ""),
            ("x_total", "oomen_target_x_total"),
        ] {
            let found = with("/panels/0/targets/0/expr", json!(QUERY.replace(from, to)));
            assert_eq!(found.len(), 1, "{from} -> {to}: {found:?}");
        }
        let bare = r#"x_total{job=~"$job", instance=~"$instance"}"#;
        assert_eq!(
            with("/panels/0/targets/0/expr", json!(bare)),
            ["P: query A: a counter is shown as it is"]
        );
    }

    #[test]
    fn two_panels_or_queries_of_one_name_are_found() {
        let mut dashboard = good();
        let panel = dashboard["panels"][0].clone();
        dashboard["panels"].as_array_mut().expect("panels").push(panel);
        assert_eq!(find("d", &dashboard), ["P: title and id are not its own"]);
        let mut dashboard = good();
        let target = dashboard["panels"][0]["targets"][0].clone();
        dashboard["panels"][0]["targets"].as_array_mut().expect("targets").push(target);
        assert_eq!(find("d", &dashboard), ["P: two queries A"]);
    }
}
