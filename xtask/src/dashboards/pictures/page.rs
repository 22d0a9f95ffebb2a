//! A dashboard as a page: its panels on Grafana's grid.

use std::fmt::Write;

use anyhow::{Context, Result};
use serde_json::Value;

use super::look::{color, list};
use super::plot::Event;
use super::shown::{Series, Shown};
use super::{lines, stat, table, timeline};

/// Pixels of the page, without its margins.
pub(super) const WIDTH: f64 = 1040.0;
/// Grafana's: columns of the grid, height of a line of it, and what lies between two panels.
const COLUMNS: f64 = 24.0;
const LINE: f64 = 30.0;
const GAP: f64 = 8.0;
/// Of a panel: its title, and what is left free around its inside.
const TITLE: f64 = 28.0;
const PADDING: f64 = 8.0;
/// What stands above the panels: the renderer's line, the title, the variables.
const HEAD: f64 = 92.0;
/// Of one line of a legend, and of one character of it.
pub(super) const LEGEND_LINE: f64 = 20.0;
const LEGEND_CHARACTER: f64 = 5.7;
const LEGEND_MARK: f64 = 30.0;
const STYLE: &str = include_str!("page.css");

/// The page of a dashboard, and how high it is.
pub(super) fn draw(dashboard: &Value, shown: &Shown<'_>, scene: &str) -> Result<(String, u32)> {
    let events = events(dashboard, shown)?;
    let (mut body, mut bottom) = (head(dashboard, shown, scene), HEAD);
    for each in list(&dashboard["panels"]) {
        let title = each["title"].as_str().unwrap_or_default();
        let place = Place::of(&each["gridPos"]);
        bottom = f64::max(bottom, place.top + place.height + GAP);
        body += &panel(each, &place, shown, &events).with_context(|| title.to_owned())?;
    }
    let html = format!(
        "<!doctype html><meta charset='utf-8'><style>{STYLE}</style><body style='width:{WIDTH}px'>{body}"
    );
    Ok((html, bottom.ceil() as u32))
}

/// Where a panel lies, in pixels.
struct Place {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

impl Place {
    fn of(grid: &Value) -> Self {
        let of = |key: &str| grid[key].as_f64().unwrap_or_default();
        let column = (WIDTH - GAP) / COLUMNS;
        Self {
            left: GAP + of("x") * column,
            top: HEAD + of("y") * (LINE + GAP),
            width: of("w") * column - GAP,
            height: of("h") * (LINE + GAP) - GAP,
        }
    }

    /// Width and height of what is inside.
    fn inside(&self) -> [f64; 2] {
        [self.width - 2.0 * PADDING, self.height - TITLE - PADDING]
    }
}

fn head(dashboard: &Value, shown: &Shown<'_>, scene: &str) -> String {
    let title = dashboard["title"].as_str().unwrap_or_default();
    let uid = dashboard["uid"].as_str().unwrap_or_default();
    let mut html = format!(
        "<p class='note'>Drawn by Oomen's renderer, not by Grafana, from dashboards/{uid}.json and a real Prometheus.</p>\
         <h1>{}<small>{scene} Last {:.0} minutes, UTC.</small></h1><p class='variables'>",
        escape(title),
        (shown.end - shown.start) / 60.0
    );
    let labels = list(&dashboard["templating"]["list"]).map(|one| one["label"].as_str());
    for (label, (_, _, text)) in labels.zip(&shown.variables) {
        let _ = write!(html, "<span>{}<b>{}</b></span>", label.unwrap_or_default(), escape(text));
    }
    html + "</p>"
}

fn panel(panel: &Value, place: &Place, shown: &Shown<'_>, events: &[Event]) -> Result<String> {
    let Place { left, top, width, height } = place;
    let at = format!("left:{left:.0}px;top:{top:.0}px;width:{width:.0}px;height:{height:.0}px");
    let title = escape(&shown.written(panel["title"].as_str().unwrap_or_default(), 1.0));
    let kind = panel["type"].as_str().unwrap_or_default();
    if kind == "row" {
        return Ok(format!("<h2 style='{at}'>{title}</h2>"));
    }
    let size = place.inside();
    let step = shown.step(size[0]);
    let time = [shown.start, shown.end];
    let series = series(panel, shown, step)?;
    let inside = match kind {
        "stat" => stat::draw(panel, &series),
        "table" => table::draw(panel, &series),
        "state-timeline" => timeline::draw(panel, &series, events, size, time, step),
        _ => lines::draw(panel, &series, events, size, time, step),
    };
    Ok(format!("<section style='{at}'><h3>{title}</h3>{inside}</section>"))
}

/// What each query of the panel returns.
fn series(panel: &Value, shown: &Shown<'_>, step: f64) -> Result<Vec<Vec<Series>>> {
    list(&panel["targets"])
        .map(|target| {
            let query = target["expr"].as_str().unwrap_or_default();
            if target["instant"] == true { shown.now(query) } else { shown.over(query, step) }
        })
        .collect()
}

/// Of the annotations that are on: where the query begins to return something, or what it returns as the time.
fn events(dashboard: &Value, shown: &Shown<'_>) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    let step = shown.step(WIDTH);
    for annotation in list(&dashboard["annotations"]["list"]).filter(|one| one["enable"] == true) {
        let color = color(annotation["iconColor"].as_str().unwrap_or("text"));
        for one in shown.over(annotation["expr"].as_str().unwrap_or_default(), step)? {
            let times: Vec<f64> = if annotation["useValueForTime"] == true {
                one.points.iter().map(|(_, milliseconds)| milliseconds / 1000.0).collect()
            } else {
                let runs = one.points.chunk_by(|a, b| b.0 - a.0 <= step * 1.5);
                runs.filter_map(|run| run.first()).map(|(at, _)| *at).collect()
            };
            for at in times {
                let event = Event { at, color: color.to_owned() };
                if (shown.start..=shown.end).contains(&at) && !events.contains(&event) {
                    events.push(event);
                }
            }
        }
    }
    Ok(events)
}

/// Pixels that a legend with these names needs.
pub(super) fn legend_height(names: &[&str], width: f64) -> f64 {
    let (mut lines, mut x) = (1.0, 0.0);
    for name in names {
        let needed = LEGEND_MARK + name.chars().count() as f64 * LEGEND_CHARACTER;
        if x > 0.0 && x + needed > width {
            (lines, x) = (lines + 1.0, 0.0);
        }
        x += needed;
    }
    f64::min(lines, 3.0) * LEGEND_LINE
}

/// Text as HTML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn panels_beside_each_other_fill_the_width_but_for_the_gaps() {
        let place = |x, w| Place::of(&json!({ "x": x, "y": 0, "w": w, "h": 8 }));
        let (left, right) = (place(0, 12), place(12, 12));
        assert_eq!(left.left, GAP);
        assert_eq!(left.left + left.width + GAP, right.left);
        assert_eq!(right.left + right.width + GAP, WIDTH);
    }

    #[test]
    fn a_legend_that_is_too_wide_takes_more_lines_but_not_all_of_the_panel() {
        assert_eq!(legend_height(&["used"], 300.0), LEGEND_LINE);
        assert_eq!(legend_height(&["a name of some length"; 3], 200.0), 3.0 * LEGEND_LINE);
        assert_eq!(legend_height(&["a name of some length"; 30], 300.0), 3.0 * LEGEND_LINE);
    }
}
