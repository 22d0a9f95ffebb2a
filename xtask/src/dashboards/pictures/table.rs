//! Tables: the rows of several queries become one where their labels agree, as Grafana's transformations do it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::look::{Look, list};
use super::page::escape;
use super::shown::Series;

/// What stands in a cell.
#[derive(Debug, Clone, PartialEq)]
enum Cell {
    Label(String),
    Value(f64),
}

type Row = BTreeMap<String, Cell>;

/// The panel's inside.
pub(super) fn draw(panel: &Value, series: &[Vec<Series>]) -> String {
    let mut rows = merged(panel, series);
    if let Some(sorted) = panel.pointer("/options/sortBy/0/displayName").and_then(Value::as_str) {
        rows.sort_by(|a, b| order(a.get(sorted), b.get(sorted)));
    }
    let columns = columns(panel, &rows);
    let head: String = columns.iter().map(|name| format!("<th>{}</th>", escape(name))).collect();
    let body = rows.iter().map(|row| {
        let cells = columns.iter().map(|name| cell(panel, name, row.get(name)));
        format!("<tr>{}</tr>", cells.collect::<String>())
    });
    format!("<table><tr>{head}</tr>{}</table>", body.collect::<String>())
}

fn merged(panel: &Value, series: &[Vec<Series>]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let alone = series.len() == 1;
    let names = organized(panel, "renameByName");
    for (target, found) in list(&panel["targets"]).zip(series) {
        let reference = target["refId"].as_str().unwrap_or_default();
        let value = if alone { "Value".to_owned() } else { format!("Value #{reference}") };
        let value = names[&value].as_str().unwrap_or(&value);
        for one in found {
            let mut row: Row =
                one.labels.iter().map(|(k, v)| (k.clone(), Cell::Label(v.clone()))).collect();
            if let Some((_, last)) = one.points.last() {
                row.insert(value.to_owned(), Cell::Value(*last));
            }
            match rows.iter_mut().find(|known| agree(known, &row)) {
                Some(known) => known.extend(row),
                None => rows.push(row),
            }
        }
    }
    rows
}

/// Whether what both have is the same.
fn agree(known: &Row, row: &Row) -> bool {
    row.iter().all(|(name, cell)| known.get(name).is_none_or(|other| other == cell))
}

fn organized<'a>(panel: &'a Value, what: &str) -> &'a Value {
    let organize = list(&panel["transformations"]).find(|one| one["id"] == "organize");
    organize.map_or(&Value::Null, |one| &one["options"][what])
}

/// The columns from the left; those that Grafana is told to hide, and those of no row, left out.
fn columns(panel: &Value, rows: &[Row]) -> Vec<String> {
    let (hidden, names) = (organized(panel, "excludeByName"), organized(panel, "renameByName"));
    let places = organized(panel, "indexByName");
    let mut all: Vec<_> = places
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| hidden[name.as_str()] != true)
        .map(|(name, place)| {
            (place.as_u64(), names[name.as_str()].as_str().unwrap_or(name).to_owned())
        })
        .filter(|(_, name)| rows.is_empty() || rows.iter().any(|row| row.contains_key(name)))
        .collect();
    all.sort();
    all.into_iter().map(|(_, name)| name).collect()
}

fn order(a: Option<&Cell>, b: Option<&Cell>) -> std::cmp::Ordering {
    match (a, b) {
        (Some(Cell::Value(a)), Some(Cell::Value(b))) => a.total_cmp(b),
        (Some(Cell::Label(a)), Some(Cell::Label(b))) => a.cmp(b),
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

fn cell(panel: &Value, name: &str, cell: Option<&Cell>) -> String {
    let look = Look::of(panel, name, "");
    let kind = look.property("custom.cellOptions")["type"].as_str().unwrap_or("auto");
    match cell {
        None => "<td></td>".into(),
        Some(Cell::Label(text)) => match look.word(text) {
            Some((word, color)) => format!("<td><b style='color:{color}'>{word}</b></td>"),
            None if !list(look.property("links")).collect::<Vec<_>>().is_empty() => {
                format!("<td><u>{}</u></td>", escape(text))
            }
            None => format!("<td>{}</td>", escape(text)),
        },
        Some(Cell::Value(value)) => {
            let (text, color) = look.shown(*value);
            match (kind, color) {
                ("gauge", color) => {
                    let full = look.number("max").unwrap_or(1.0);
                    let share = (value / full).clamp(0.0, 1.0) * 100.0;
                    let color = color.unwrap_or("#3274d9");
                    format!(
                        "<td><span class='bar'><i style='width:{share:.0}%;background:{color}'></i></span>{text}</td>"
                    )
                }
                (_, Some(color))
                    if kind == "color-text" || look.word(&value.to_string()).is_some() =>
                {
                    format!("<td><b style='color:{color}'>{text}</b></td>")
                }
                _ => format!("<td>{text}</td>"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(labels: &[(&str, &str)], value: f64) -> Series {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Series { labels, points: vec![(1.0, value)] }
    }

    fn panel() -> Value {
        json!({
            "targets": [{ "refId": "A" }, { "refId": "B" }],
            "options": { "sortBy": [{ "displayName": "left" }] },
            "fieldConfig": { "defaults": {}, "overrides": [
                { "matcher": { "id": "byName", "options": "left" }, "properties": [{ "id": "unit", "value": "s" }] },
            ] },
            "transformations": [{ "id": "merge" }, { "id": "organize", "options": {
                "excludeByName": { "Value #B": true, "job": true },
                "indexByName": { "target": 0, "Value #A": 1, "state": 2, "pod": 3 },
                "renameByName": { "Value #A": "left" },
            } }],
        })
    }

    #[test]
    fn rows_whose_labels_agree_are_one_and_the_least_is_first() {
        let left = vec![one(&[("target", "b")], 90.0), one(&[("target", "a")], 30.0)];
        let states = vec![
            one(&[("target", "a"), ("state", "leak")], 1.0),
            one(&[("target", "b"), ("state", "calm")], 1.0),
        ];
        let html = draw(&panel(), &[left, states]);
        let expected = "<table><tr><th>target</th><th>left</th><th>state</th></tr>\
            <tr><td>a</td><td>30 s</td><td>leak</td></tr><tr><td>b</td><td>1.50 min</td><td>calm</td></tr></table>";
        assert_eq!(html, expected);
    }
}
