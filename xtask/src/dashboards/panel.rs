//! Panels: their places, their queries, and what of a table's queries is shown in which column.

use anyhow::{Result, ensure};
use serde_json::{Map, Value, json};

use super::source::{Kind, Panel, Query, selected};
use super::{field, variables};

const WIDTH: u64 = 24;
/// Labels that a table's queries may keep without showing them.
const HIDDEN: [&str; 2] = ["Time", "job"];

/// All of a dashboard, each in its place.
pub(super) fn all(panels: &[Panel]) -> Result<Vec<Value>> {
    let (mut x, mut y, mut line) = (0, 0, 0);
    let mut made = Vec::new();
    for (index, panel) in panels.iter().enumerate() {
        let [width, height] = panel.size;
        ensure!(width <= WIDTH, "{}: wider than {WIDTH}", panel.title);
        if x + width > WIDTH {
            (x, y, line) = (0, y + line, 0);
        }
        let place = json!({ "x": x, "y": y, "w": width, "h": height });
        (x, line) = (x + width, line.max(height));
        made.push(render(panel, index + 1, &place)?);
    }
    Ok(made)
}

fn render(panel: &Panel, id: usize, place: &Value) -> Result<Value> {
    if panel.kind == Kind::Row {
        let mut row = json!({
            "id": id, "type": "row", "title": panel.title, "collapsed": false, "panels": [],
            "gridPos": place,
        });
        if let Some(variable) = &panel.repeat {
            row["repeat"] = json!(variable);
        }
        return Ok(row);
    }
    ensure!(!panel.queries.is_empty(), "{}: no query", panel.title);
    let table = panel.kind == Kind::Table;
    ensure!(!(table && panel.words.is_some()), "{}: a table's words go by column", panel.title);
    let targets = panel
        .queries
        .iter()
        .zip('A'..='Z')
        .map(|(query, letter)| target(query, letter, panel.kind));
    let mut rendered = json!({
        "id": id,
        "type": kind(panel.kind),
        "title": panel.title,
        "description": panel.description.trim(),
        "datasource": source(),
        "gridPos": place,
        "fieldConfig": field::config(panel),
        "options": options(panel),
        "targets": targets.collect::<Vec<_>>(),
    });
    if panel.kind == Kind::Table {
        rendered["transformations"] = transformations(panel)?;
    }
    Ok(rendered)
}

fn source() -> Value {
    json!({ "type": "prometheus", "uid": variables::DATASOURCE })
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Row => "row",
        Kind::Table => "table",
        Kind::Stat => "stat",
        Kind::Lines | Kind::Bars => "timeseries",
        Kind::Timeline => "state-timeline",
    }
}

fn target(query: &Query, letter: char, kind: Kind) -> Value {
    let now = matches!(kind, Kind::Table | Kind::Stat);
    json!({
        "refId": letter.to_string(),
        "datasource": source(),
        "editorMode": "code",
        "expr": selected(&query.expr),
        "legendFormat": if kind == Kind::Table { "__auto" } else { query.legend.as_str() },
        "format": if kind == Kind::Table { "table" } else { "time_series" },
        "instant": now,
        "range": !now,
    })
}

fn options(panel: &Panel) -> Value {
    let legend =
        |place: &str| json!({ "displayMode": "list", "placement": place, "showLegend": true });
    match panel.kind {
        Kind::Row => json!({}),
        Kind::Stat => json!({
            "reduceOptions": { "calcs": ["lastNotNull"], "fields": "", "values": false },
            "colorMode": "background", "graphMode": "none", "justifyMode": "auto",
            "orientation": "auto", "textMode": "auto", "wideLayout": true,
        }),
        Kind::Lines | Kind::Bars => json!({
            "legend": legend("bottom"),
            "tooltip": { "mode": "multi", "sort": "desc" },
        }),
        Kind::Timeline => json!({
            "mergeValues": true, "showValue": "auto", "alignValue": "left", "rowHeight": 0.8,
            "legend": legend("bottom"), "tooltip": { "mode": "single", "sort": "none" },
        }),
        Kind::Table => {
            let sorted = panel.sorted.iter();
            let sorted =
                sorted.map(|name| json!({ "displayName": name, "desc": panel.descending }));
            json!({
                "showHeader": true, "cellHeight": "sm", "sortBy": sorted.collect::<Vec<_>>(),
                "footer": { "show": false, "reducer": ["sum"], "countRows": false, "fields": "" },
            })
        }
    }
}

/// Rows of several queries become one where their labels agree; then columns get their names and places.
fn transformations(panel: &Panel) -> Result<Value> {
    let (mut names, mut hidden, mut places) = (Map::new(), Map::new(), Map::new());
    let unwanted = HIDDEN.iter().filter(|name| panel.columns.iter().all(|shown| shown != **name));
    hidden.extend(unwanted.map(|name| ((*name).to_owned(), json!(true))));
    for (query, letter) in panel.queries.iter().zip('A'..='Z') {
        // Grafana calls the values of a lone query `Value`.
        let value = match panel.queries.len() {
            1 => "Value".to_owned(),
            _ => format!("Value #{letter}"),
        };
        match &query.column {
            None => hidden.insert(value, json!(true)),
            Some(name) => {
                let place = panel.columns.iter().position(|column| column == name);
                ensure!(place.is_some(), "{}: the column {name} has no place", panel.title);
                places.insert(value.clone(), json!(place));
                names.insert(value, json!(name))
            }
        };
    }
    let is_label = |column: &&String| names.values().all(|name| name != *column);
    for (place, column) in panel.columns.iter().enumerate().filter(|(_, column)| is_label(column)) {
        places.insert(column.clone(), json!(place));
    }
    if let Some(sorted) = &panel.sorted {
        ensure!(panel.columns.contains(sorted), "{}: no column {sorted}", panel.title);
    }
    Ok(json!([
        { "id": "merge", "options": {} },
        {
            "id": "organize",
            "options": {
                "excludeByName": hidden, "indexByName": places, "renameByName": names,
            },
        },
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panels(text: &str) -> Vec<Value> {
        #[derive(serde::Deserialize)]
        struct File {
            panel: Vec<Panel>,
        }
        all(&toml::from_str::<File>(text).expect("panels").panel).expect("laid out")
    }

    #[test]
    fn panels_fill_a_line_before_the_next_begins_below_the_highest() {
        let text = "[[panel]]\ntitle='P'\nkind='lines'\nsize=[12, 8]\n[[panel.query]]\nexpr='x'\n";
        let taller = text.replace("12, 8", "8, 9");
        let places: Vec<_> = panels(&format!("{text}{taller}{text}"))
            .iter()
            .map(|panel| (panel["gridPos"]["x"].clone(), panel["gridPos"]["y"].clone()))
            .collect();
        let at = |x: u64, y: u64| (json!(x), json!(y));
        assert_eq!(places, [at(0, 0), at(12, 0), at(0, 9)]);
    }

    #[test]
    fn a_tables_columns_stand_where_the_source_says_and_values_without_a_name_are_hidden() {
        let table = panels(
            "[[panel]]\ntitle='T'\nkind='table'\ncolumns=['target', 'used', 'state']\nsorted='used'\n\
             [[panel.query]]\nexpr='s'\n[[panel.query]]\nexpr='u'\ncolumn='used'\n",
        );
        let organized = &table[0]["transformations"][1]["options"];
        assert_eq!(organized["renameByName"], json!({ "Value #B": "used" }));
        assert_eq!(organized["indexByName"]["Value #B"], 1);
        assert_eq!(organized["indexByName"]["state"], 2);
        assert_eq!(organized["excludeByName"]["Value #A"], true);
        assert_eq!(table[0]["targets"][0]["instant"], true);
    }

    #[test]
    fn a_column_without_a_place_and_words_for_all_columns_are_refused() {
        let good =
            "title='T'\nkind='table'\ncolumns=['used']\n[[query]]\nexpr='u'\ncolumn='used'\n";
        let panel = |text: &str| toml::from_str::<Panel>(text).expect("a panel");
        assert!(all(&[panel(good)]).is_ok());
        assert!(all(&[panel(&good.replace("['used']", "['target']"))]).is_err());
        assert!(all(&[panel(&format!("words='state'\n{good}"))]).is_err());
    }
}
