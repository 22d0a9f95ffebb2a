//! The conventions of a dashboard, as Grafana's dashboard-linter has them, and ours.

use std::collections::BTreeSet;

use serde_json::Value;

const SCHEMA: u64 = 39;
const WIDTH: u64 = 24;
const TAGS: [&str; 2] = ["oomen", "shop"];
const DATASOURCE: &str = "${datasource}";
/// The variables that choose watchdogs, and what All of each matches: a scrape may lack the namespace.
const CHOOSING: [(&str, &str); 3] = [("job", ".+"), ("namespace", ".*"), ("instance", ".+")];
const COUNTED_OVER_TIME: [&str; 3] = ["rate(", "irate(", "increase("];
/// What names a metric in a query; whatever begins so must be selected by the variables.
const METRICS: [&str; 6] = ["oomen_", "shop_", "http_", "process_", "up", "ALERTS"];

/// What breaks a convention, one line each.
pub(super) fn find(name: &str, dashboard: &Value) -> Vec<String> {
    let mut found = head(name, dashboard);
    found.extend(variables(dashboard));
    found.extend(uses(dashboard));
    found.extend(annotations(dashboard));
    if list(&dashboard["panels"]).next().is_none() {
        found.push("no panels".into());
    }
    let (mut titles, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for each in list(&dashboard["panels"]) {
        let title = text(each, "title");
        if !titles.insert(title) || !ids.insert(each["id"].as_u64()) {
            found.push(format!("{title}: title and id are not its own"));
        }
        found.extend(panel(each).into_iter().map(|what| format!("{title}: {what}")));
    }
    found
}

fn head(name: &str, dashboard: &Value) -> Vec<String> {
    let tag = TAGS.iter().find(|known| list(&dashboard["tags"]).any(|tag| tag == **known));
    let to_others = |link: &&Value| link["type"] == "dashboards";
    let own = |link: &Value| list(&link["tags"]).any(|one| tag.is_some_and(|tag| one == *tag));
    // The watchdogs' jobs and instances are none of the services'.
    let linked = list(&dashboard["links"]).filter(to_others).any(own)
        && list(&dashboard["links"])
            .filter(to_others)
            .all(|link| link["keepTime"] == true && (link["includeVars"] == true) == own(link));
    let rules = [
        (text(dashboard, "uid") == name, "the uid is not the file's name"),
        (!text(dashboard, "title").is_empty(), "no title"),
        (!text(dashboard, "description").is_empty(), "no description"),
        (dashboard["schemaVersion"] == SCHEMA, "the schemaVersion is not 39"),
        (dashboard["editable"] == false, "it is editable"),
        (text(dashboard, "timezone") == "utc", "the timezone is not utc"),
        (!text(dashboard, "refresh").is_empty(), "it is not drawn anew by itself"),
        (dashboard.get("id").is_none_or(Value::is_null), "the id of one Grafana is in it"),
        (tag.is_some(), "it has no tag by which the others link to it"),
        (linked, "no links to the others that keep the time, and the variables of their kind"),
    ];
    broken(&rules)
}

fn variables(dashboard: &Value) -> Vec<String> {
    let variable = |name: &str| {
        list(&dashboard["templating"]["list"]).find(|variable| variable["name"] == name)
    };
    let asks = |variable: &Value| {
        variable["type"] == "query"
            && variable["refresh"] == 2
            && variable["datasource"]["uid"] == DATASOURCE
    };
    let mut found = Vec::new();
    if !variable("datasource")
        .is_some_and(|v| v["type"] == "datasource" && v["query"] == "prometheus")
    {
        found.push("no variable datasource of type datasource for prometheus".into());
    }
    for (name, all) in CHOOSING {
        let good = variable(name)
            .is_some_and(|one| asks(one) && one["multi"] == true && one["allValue"] == all);
        if !good {
            found.push(format!(
                "no variable {name}: query, multi, allValue {all}, refresh on time change"
            ));
        }
    }
    let of_targets = dashboard["panels"].to_string().contains("oomen_target_");
    if !variable("target").map_or(!of_targets, asks) {
        found.push("no variable target: query, refresh on time change".into());
    }
    found
}

/// Variables that nothing uses, and those that are used without being there.
fn uses(dashboard: &Value) -> Vec<String> {
    let variables: Vec<_> = list(&dashboard["templating"]["list"]).collect();
    let declared: BTreeSet<_> = variables.iter().map(|one| text(one, "name").to_owned()).collect();
    let places = ["panels", "annotations", "templating"];
    let used: BTreeSet<_> =
        places.iter().flat_map(|place| used(&dashboard[*place].to_string())).collect();
    let idle = declared.difference(&used).map(|name| format!("nothing uses the variable {name}"));
    let unknown = used.difference(&declared).map(|name| format!("there is no variable {name}"));
    idle.chain(unknown).collect()
}

/// The names behind each `$` and `${`; Grafana's own begin with two underscores.
fn used(text: &str) -> BTreeSet<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split('$')
        .skip(1)
        .map(|rest| rest.strip_prefix('{').unwrap_or(rest))
        .map(|rest| rest.split(|c| !is_word(c)).next().unwrap_or_default().to_owned())
        .filter(|name| !name.starts_with("__"))
        .collect()
}

fn annotations(dashboard: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for annotation in list(&dashboard["annotations"]["list"]) {
        let name = text(annotation, "name");
        let loki = annotation["datasource"]["type"] == "loki";
        let source = if loki { "${loki}" } else { DATASOURCE };
        let mut rules = vec![
            (!name.is_empty(), "no name"),
            (annotation["datasource"]["uid"] == source, "its data source is not the variable"),
            (!loki || annotation["enable"] == false, "it is on where there is no Loki"),
        ];
        if !loki {
            rules.extend(selections(text(annotation, "expr")));
        }
        let broken = broken(&rules);
        found.extend(broken.into_iter().map(|what| format!("annotation {name}: {what}")));
    }
    found
}

fn panel(panel: &Value) -> Vec<String> {
    if panel["type"] == "row" {
        return broken(&[(!text(panel, "title").is_empty(), "no title")]);
    }
    let place = &panel["gridPos"];
    let right = place["x"].as_u64().zip(place["w"].as_u64()).map(|(x, w)| x.saturating_add(w));
    let mut found = broken(&[
        (!text(panel, "title").is_empty(), "no title"),
        (!text(panel, "description").is_empty(), "no description"),
        (!text(&panel["fieldConfig"]["defaults"], "unit").is_empty(), "no unit"),
        (panel["datasource"]["uid"] == DATASOURCE, "its data source is not the variable"),
        (list(&panel["targets"]).next().is_some(), "no query"),
        (right.is_some_and(|right| right <= WIDTH), "it reaches beyond the grid"),
    ]);
    found.extend(columns(panel));
    let mut references = BTreeSet::new();
    for target in list(&panel["targets"]) {
        let reference = text(target, "refId");
        if !references.insert(reference) {
            found.push(format!("two queries {reference}"));
        }
        found.extend(query(target).into_iter().map(|what| format!("query {reference}: {what}")));
    }
    found
}

/// A table's columns of values have units of their own.
fn columns(panel: &Value) -> Vec<String> {
    let unit_of = |column: &Value| {
        list(&panel["fieldConfig"]["overrides"])
            .filter(|one| one["matcher"]["id"] == "byName" && one["matcher"]["options"] == *column)
            .flat_map(|one| list(&one["properties"]))
            .any(|property| property["id"] == "unit" || property["id"] == "mappings")
    };
    list(&panel["transformations"])
        .filter_map(|one| one["options"]["renameByName"].as_object())
        .flat_map(|names| names.values())
        .filter(|column| !unit_of(column))
        .map(|column| format!("the column {column} has no unit"))
        .collect()
}

fn query(target: &Value) -> Vec<String> {
    let expression = text(target, "expr");
    let mut rules = vec![
        (target["datasource"]["uid"] == DATASOURCE, "its data source is not the variable"),
        (!text(target, "legendFormat").is_empty(), "no legend"),
    ];
    rules.extend(selections(expression));
    broken(&rules)
}

/// What holds for every query to Prometheus.
fn selections(expression: &str) -> Vec<(bool, &'static str)> {
    vec![
        (selects(expression, "", "job"), "it does not select by $job"),
        (selects(expression, "", "namespace"), "it does not select by $namespace"),
        (selects(expression, "", "instance"), "it does not select by $instance"),
        (selects(expression, "oomen_target_", "target"), "it does not select by $target"),
        (spans_are_the_interval(expression), "a rate is not over $__rate_interval"),
        (counters_are_counted_over_time(expression), "a counter is shown as it is"),
    ]
}

/// Whether every metric of the query whose name begins so has a selector with this variable.
fn selects(expression: &str, beginning: &str, variable: &str) -> bool {
    let matcher = format!("{variable}=~\"${variable}\"");
    metrics(expression)
        .filter(|(name, _)| name.starts_with(beginning))
        .all(|(_, selector)| selector.contains(&matcher))
}

/// The metrics of a query, each with what stands between its braces.
fn metrics(expression: &str) -> impl Iterator<Item = (&str, &str)> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts = expression.char_indices().filter(move |(at, c)| {
        is_word(*c) && !expression[..*at].ends_with(|c: char| is_word(c) || c == '"' || c == '$')
    });
    starts.filter_map(move |(at, _)| {
        let rest = &expression[at..];
        let (name, rest) = rest.split_at(rest.find(|c| !is_word(c)).unwrap_or(rest.len()));
        let selector = rest.strip_prefix('{').and_then(|rest| rest.split('}').next());
        let is_metric = selector.is_some()
            || METRICS
                .iter()
                .any(|metric| name == *metric || metric.ends_with('_') && name.starts_with(metric));
        is_metric.then_some((name, selector.unwrap_or_default()))
    })
}

/// Every `[…]` of the query is Grafana's: a fixed one is empty or blurred at another zoom or scrape interval. Over all
/// of the time shown only a total or a presence is asked for.
fn spans_are_the_interval(expression: &str) -> bool {
    let counted = COUNTED_OVER_TIME.iter().any(|function| expression.contains(function));
    let mut spans = expression.split('[').skip(1).peekable();
    (!counted || spans.peek().is_some())
        && spans.all(|span| span.starts_with("$__rate_interval]") || span.starts_with("$__range]"))
}

fn counters_are_counted_over_time(expression: &str) -> bool {
    !expression.contains("_total") || COUNTED_OVER_TIME.iter().any(|f| expression.contains(f))
}

fn broken(rules: &[(bool, &str)]) -> Vec<String> {
    rules.iter().filter(|(kept, _)| !kept).map(|(_, what)| (*what).to_owned()).collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text<'a>(of: &'a Value, key: &str) -> &'a str {
    of[key].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const QUERY: &str = r#"rate(x_total{job=~"$job", namespace=~"$namespace", instance=~"$instance"}[$__rate_interval])"#;

    fn good() -> Value {
        let source = json!({"type": "prometheus", "uid": DATASOURCE});
        let query = |name: &str, all: &str, of: &str| {
            json!({"name": name, "type": "query", "refresh": 2, "multi": true, "allValue": all,
                   "datasource": source, "definition": of})
        };
        json!({
            "uid": "d", "title": "D", "description": "Of d.", "schemaVersion": 39, "editable": false,
            "timezone": "utc", "refresh": "30s", "tags": ["oomen"],
            "links": [
                {"type": "dashboards", "tags": ["oomen"], "includeVars": true, "keepTime": true},
                {"type": "dashboards", "tags": ["shop"], "includeVars": false, "keepTime": true},
            ],
            "templating": {"list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus"},
                query("job", ".+", ""), query("namespace", ".*", "${job:raw}"),
                query("instance", ".+", "$namespace"), query("target", ".+", "$instance"),
            ]},
            "annotations": {"list": [
                {"name": "L", "enable": false, "expr": "{job=\"oomen\"}",
                 "datasource": {"type": "loki", "uid": DATASOURCE.replace("datasource", "loki")}},
            ]},
            "panels": [
                {"id": 7, "type": "row", "title": "$target"},
                {
                    "id": 1, "title": "P", "description": "Of p.", "datasource": source,
                    "gridPos": {"x": 12, "y": 0, "w": 12, "h": 8},
                    "fieldConfig": {"defaults": {"unit": "bytes"}, "overrides": [
                        {"matcher": {"id": "byName", "options": "used"},
                         "properties": [{"id": "unit", "value": "bytes"}]},
                    ]},
                    "transformations": [{"options": {"renameByName": {"Value #A": "used"}}}],
                    "targets": [{"refId": "A", "expr": QUERY, "legendFormat": "x", "datasource": source}],
                },
            ],
        })
    }

    fn found(dashboard: &Value) -> Vec<String> {
        let mut dashboard = dashboard.clone();
        let loki = json!({"name": "loki", "type": "datasource", "query": "loki"});
        dashboard["templating"]["list"].as_array_mut().expect("variables").push(loki);
        find("d", &dashboard)
    }

    fn with(pointer: &str, value: Value) -> Vec<String> {
        let mut dashboard = good();
        *dashboard.pointer_mut(pointer).expect("a place in the good one") = value;
        found(&dashboard)
    }

    #[test]
    fn a_dashboard_that_keeps_them_passes() {
        assert_eq!(found(&good()), Vec::<String>::new());
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
            ("/refresh", json!("")),
            ("/tags", json!(["memory"])),
            ("/links", json!([])),
            ("/links/0/includeVars", json!(false)),
            ("/links/0/keepTime", json!(false)),
            ("/links/1/includeVars", json!(true)),
            ("/templating/list/0/query", json!("loki")),
            ("/templating/list/1/refresh", json!(1)),
            ("/templating/list/2/multi", json!(false)),
            ("/templating/list/3/allValue", json!(null)),
            ("/templating/list/4/datasource/uid", json!("prom-1")),
            ("/annotations/list/0/name", json!("")),
            ("/annotations/list/0/enable", json!(true)),
            ("/panels/0/title", json!("P of $nobody")),
            ("/panels/1/title", json!("")),
            ("/panels/1/description", json!("")),
            ("/panels/1/fieldConfig/defaults/unit", json!("")),
            ("/panels/1/fieldConfig/overrides/0/matcher/options", json!("free")),
            ("/panels/1/datasource/uid", json!("prom-1")),
            ("/panels/1/targets", json!([])),
            ("/panels/1/gridPos/x", json!(13)),
            ("/panels/1/targets/0/datasource/uid", json!("prom-1")),
            ("/panels/1/targets/0/legendFormat", json!("")),
        ] {
            let found = with(pointer, value.clone());
            // A row that no longer names the target leaves that variable idle as well.
            // One without a tag has no links of its kind either.
            let expected = if ["/panels/0/title", "/tags"].contains(&pointer) { 2 } else { 1 };
            assert_eq!(found.len(), expected, "{pointer} {value}: {found:?}");
        }
    }

    #[test]
    fn each_broken_query_is_found() {
        for (from, to) in [
            ("job=~\"$job\", ", ""),
            ("namespace=~\"$namespace\", ", ""),
            (", instance=~\"$instance\"", ""),
            ("[$__rate_interval]", "[5m]"),
            ("[$__rate_interval]", ""),
            ("x_total", "oomen_target_x_total"),
        ] {
            let found = with("/panels/1/targets/0/expr", json!(QUERY.replace(from, to)));
            assert_eq!(found.len(), 1, "{from} -> {to}: {found:?}");
        }
        let bare = r#"x_total{job=~"$job", namespace=~"$namespace", instance=~"$instance"}"#;
        assert_eq!(
            with("/panels/1/targets/0/expr", json!(bare)),
            ["P: query A: a counter is shown as it is"]
        );
    }

    #[test]
    fn every_metric_of_a_query_is_looked_at() {
        for second in ["oomen_build_info", r#"up{job=~"$job"}"#, "process_cpu_seconds"] {
            let query = format!("{QUERY} and on (instance) {second}");
            assert!(!with("/panels/1/targets/0/expr", json!(query)).is_empty(), "{second}");
        }
    }

    #[test]
    fn an_annotation_on_prometheus_is_selected_like_a_panel() {
        let mut dashboard = good();
        dashboard["annotations"]["list"][0] = json!({
            "name": "N", "enable": true, "expr": "ALERTS",
            "datasource": {"type": "prometheus", "uid": DATASOURCE},
        });
        let found = find("d", &dashboard);
        assert_eq!(found.len(), 3, "{found:?}");
    }

    #[test]
    fn two_panels_or_queries_of_one_name_are_found() {
        let mut dashboard = good();
        let panel = dashboard["panels"][1].clone();
        dashboard["panels"].as_array_mut().expect("panels").push(panel);
        assert_eq!(found(&dashboard), ["P: title and id are not its own"]);
        let mut dashboard = good();
        let target = dashboard["panels"][1]["targets"][0].clone();
        dashboard["panels"][1]["targets"].as_array_mut().expect("targets").push(target);
        assert_eq!(found(&dashboard), ["P: two queries A"]);
    }
}
