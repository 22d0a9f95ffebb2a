//! How values look and where a click on them leads: Grafana's fieldConfig.

use serde_json::{Map, Value, json};

use super::source::{Kind, Link, Panel, Query, Step, Style};
use super::words::Words;

/// Of the panel and, in its overrides, of single series or columns.
pub(super) fn config(panel: &Panel) -> Value {
    let mut defaults = Map::new();
    defaults.insert("unit".into(), json!(panel.unit));
    defaults.insert("mappings".into(), panel.words.map_or_else(|| json!([]), |w| w.mappings()));
    defaults.insert("thresholds".into(), thresholds(&panel.colors));
    defaults.insert("color".into(), color(panel));
    defaults.insert("custom".into(), custom(panel));
    for (name, value) in [("min", panel.min), ("max", panel.max)] {
        defaults.extend(value.map(|value| (name.to_owned(), json!(value))));
    }
    defaults.extend(panel.no_value.as_ref().map(|text| ("noValue".to_owned(), json!(text))));
    if panel.kind != Kind::Table {
        let links: Vec<_> = panel.links.iter().map(|link| of_series(*link)).collect();
        defaults.insert("links".into(), json!(links));
    }
    json!({ "defaults": defaults, "overrides": overrides(panel) })
}

fn color(panel: &Panel) -> Value {
    let by_value = !panel.colors.is_empty() || matches!(panel.kind, Kind::Stat | Kind::Timeline);
    json!({ "mode": if by_value { "thresholds" } else { "palette-classic" } })
}

fn thresholds(steps: &[Step]) -> Value {
    let mut steps: Vec<_> =
        steps.iter().map(|step| json!({ "color": step.color, "value": step.from })).collect();
    if steps.is_empty() {
        steps.push(json!({ "color": "text", "value": null }));
    }
    json!({ "mode": "absolute", "steps": steps })
}

fn custom(panel: &Panel) -> Value {
    let stacking = json!({ "mode": if panel.stack { "normal" } else { "none" }, "group": "A" });
    let scale =
        if panel.log { json!({ "type": "log", "log": 10 }) } else { json!({ "type": "linear" }) };
    match panel.kind {
        Kind::Row | Kind::Stat => json!({}),
        Kind::Table => json!({ "align": "auto", "cellOptions": { "type": "auto" } }),
        Kind::Timeline => json!({ "fillOpacity": 75, "lineWidth": 0 }),
        Kind::Lines => json!({
            "drawStyle": "line", "lineWidth": 1, "lineInterpolation": "linear",
            "fillOpacity": if panel.stack { 30 } else { 0 }, "stacking": stacking,
            "showPoints": "never", "spanNulls": false, "axisPlacement": "auto",
            "scaleDistribution": scale,
            "thresholdsStyle": { "mode": "off" },
        }),
        Kind::Bars => json!({
            "drawStyle": "bars", "lineWidth": 1, "fillOpacity": 80, "stacking": stacking,
            "showPoints": "never", "axisPlacement": "auto", "axisSoftMin": 0,
        }),
    }
}

fn overrides(panel: &Panel) -> Vec<Value> {
    let mut overrides: Vec<_> = panel.names.iter().flat_map(|words| words.series()).collect();
    if panel.kind == Kind::Table {
        overrides.extend(panel.labels.iter().map(|(name, words)| label(name, *words)));
        overrides.extend(panel.queries.iter().filter_map(column));
        overrides.extend(panel.links.iter().map(|link| of_column(*link)));
    } else {
        let lower = panel.queries.iter().find(|query| query.style == Style::Low);
        let lower = lower.map_or("", |query| query.legend.as_str());
        let styled = panel.queries.iter().zip('A'..='Z');
        overrides.extend(styled.filter_map(|(query, letter)| {
            let properties = style(query.style, lower)?;
            let matcher = json!({ "id": "byFrameRefID", "options": letter.to_string() });
            Some(json!({ "matcher": matcher, "properties": properties }))
        }));
    }
    overrides
}

fn style(style: Style, lower: &str) -> Option<Value> {
    let dash = json!({ "id": "custom.lineStyle", "value": { "fill": "dash", "dash": [8, 6] } });
    let fixed =
        |color: &str| json!({ "id": "color", "value": { "mode": "fixed", "fixedColor": color } });
    match style {
        Style::Plain => None,
        Style::Dashed => Some(json!([dash])),
        Style::Limit => Some(json!([dash, fixed("red"), { "id": "custom.lineWidth", "value": 2 }])),
        Style::Low => Some(json!([fixed("orange"), { "id": "custom.lineWidth", "value": 0 }])),
        Style::High => Some(json!([
            fixed("orange"),
            { "id": "custom.lineWidth", "value": 0 },
            { "id": "custom.fillOpacity", "value": 25 },
            { "id": "custom.fillBelowTo", "value": lower },
        ])),
    }
}

/// Of a column with a label that says one of these words.
fn label(name: &str, words: Words) -> Value {
    json!({
        "matcher": { "id": "byName", "options": name },
        "properties": [
            { "id": "mappings", "value": words.mappings() },
            { "id": "custom.cellOptions", "value": { "type": "color-text" } },
        ],
    })
}

/// Of a column with values.
fn column(query: &Query) -> Option<Value> {
    let name = query.column.as_ref()?;
    let mut properties = Vec::new();
    properties.extend(query.unit.as_ref().map(|unit| json!({ "id": "unit", "value": unit })));
    properties
        .extend(query.words.map(|words| json!({ "id": "mappings", "value": words.mappings() })));
    if !query.colors.is_empty() {
        properties.push(json!({ "id": "thresholds", "value": thresholds(&query.colors) }));
        properties.push(json!({ "id": "color", "value": { "mode": "thresholds" } }));
    }
    let cell = match query.bar {
        Some(_) => Some(json!({ "type": "gauge", "mode": "basic", "valueDisplayMode": "text" })),
        None if !query.colors.is_empty() => Some(json!({ "type": "color-text" })),
        None => None,
    };
    properties.extend(cell.map(|cell| json!({ "id": "custom.cellOptions", "value": cell })));
    if let Some(full) = query.bar {
        properties.push(json!({ "id": "min", "value": 0 }));
        properties.push(json!({ "id": "max", "value": full }));
    }
    Some(json!({ "matcher": { "id": "byName", "options": name }, "properties": properties }))
}

fn of_series(link: Link) -> Value {
    made(link, "${__field.labels.target:percentencode}", "${__field.labels.instance}")
}

/// The column that says what the link leads to has it.
fn of_column(link: Link) -> Value {
    let column = if link == Link::Target { "target" } else { "instance" };
    let link = made(link, "${__data.fields.target:percentencode}", "${__data.fields.instance}");
    json!({
        "matcher": { "id": "byName", "options": column },
        "properties": [{ "id": "links", "value": [link] }],
    })
}

fn made(link: Link, target: &str, instance: &str) -> Value {
    let here = "var-datasource=${datasource}&${job:queryparam}&${__url_time_range}";
    let page = "${page:raw}";
    let (title, url) = match link {
        Link::Target => (
            "This target",
            format!("/d/oomen-target?{here}&var-target={target}&var-instance={instance}"),
        ),
        Link::Watchdog => {
            ("Its watchdog", format!("/d/oomen-watchdog?{here}&var-instance={instance}"))
        }
        Link::Page => ("The watchdog's page", format!("{page}{instance}/")),
        Link::Card => (
            "Function, heap and dumps on the watchdog's page",
            format!("{page}{instance}/#{target}"),
        ),
        Link::Flamegraph => (
            "Flamegraph of the heap now",
            format!("{page}{instance}/t/{target}/debug/pprof/heap?format=flamegraph"),
        ),
        Link::Dumps => {
            ("Stored heap dumps", format!("{page}{instance}/api/v1/heap-dumps?target={target}"))
        }
    };
    let elsewhere = !matches!(link, Link::Target | Link::Watchdog);
    json!({ "title": title, "url": url, "targetBlank": elsewhere })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_band_is_filled_down_to_its_lower_edge() {
        let panel: Panel = toml::from_str(
            "title='P'\nkind='lines'\n\
             [[query]]\nexpr='h'\nlegend='at most'\nstyle='high'\n\
             [[query]]\nexpr='l'\nlegend='at least'\nstyle='low'\n",
        )
        .expect("a panel");
        let overrides = overrides(&panel);
        assert_eq!(overrides.len(), 2);
        assert_eq!(overrides[0]["matcher"]["options"], "A");
        let properties = overrides[0]["properties"].as_array().expect("properties");
        let fill = properties.iter().find(|property| property["id"] == "custom.fillBelowTo");
        assert_eq!(fill.expect("a fill")["value"], "at least");
    }

    #[test]
    fn names_in_links_are_escaped_and_every_link_leads_somewhere_of_its_own() {
        let all =
            [Link::Target, Link::Watchdog, Link::Page, Link::Card, Link::Flamegraph, Link::Dumps];
        let urls: Vec<_> = all.map(|link| of_series(link)["url"].to_string()).into();
        for (index, url) in urls.iter().enumerate() {
            assert!(!urls[..index].contains(url), "{url}");
            assert!(!url.contains("labels.target}"), "{url}");
        }
    }
}
