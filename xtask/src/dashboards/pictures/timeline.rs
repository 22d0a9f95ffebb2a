//! Panels of what holds over time, as coloured spans, a row for each series.

use std::fmt::Write;

use serde_json::Value;

use super::look::{Look, list};
use super::page::{LEGEND_LINE, escape};
use super::plot::{Event, Plot};
use super::shown::Series;

/// Pixels that a character takes.
const CHARACTER: f64 = 6.2;
const MOST_FOR_NAMES: f64 = 240.0;
/// Share of a row that is filled.
const FILLED: f64 = 0.8;

/// The panel's inside.
pub(super) fn draw(
    panel: &Value,
    series: &[Vec<Series>],
    events: &[Event],
    size: [f64; 2],
    time: [f64; 2],
    step: f64,
) -> String {
    let targets = list(&panel["targets"]).zip(series);
    let rows: Vec<_> = targets
        .flat_map(|(target, found)| {
            let legend = target["legendFormat"].as_str().unwrap_or_default();
            found.iter().map(move |one| (one.name(legend), one))
        })
        .collect();
    let longest = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let height = size[1] - LEGEND_LINE;
    let mut plot = Plot::new([size[0], height], time, [0.0, 1.0]);
    plot.left = (longest as f64 * CHARACTER + 12.0).min(MOST_FOR_NAMES);
    let look = Look::of(panel, "", "");
    let mut svg = format!("<svg width='{:.0}' height='{height:.0}'>{}", size[0], plot.times());
    let row = (plot.bottom() - 8.0) / rows.len().max(1) as f64;
    let mut words = Vec::new();
    for (index, (name, one)) in rows.iter().enumerate() {
        let top = 8.0 + row * index as f64 + row * (1.0 - FILLED) / 2.0;
        let middle = top + row * FILLED / 2.0 + 4.0;
        let _ = write!(
            svg,
            "<text x='{:.1}' y='{middle:.1}' text-anchor='end'>{}</text>",
            plot.left - 6.0,
            escape(name)
        );
        for (from, to, value) in spans(&one.points, step) {
            let (word, color) = look.shown(value);
            let color = color.unwrap_or("#888");
            let (x, width) = (plot.x(from), plot.x(to.min(time[1])) - plot.x(from));
            let _ = write!(
                svg,
                "<rect x='{x:.1}' y='{top:.1}' width='{width:.1}' height='{:.1}' fill='{color}' fill-opacity='.8'/>",
                row * FILLED
            );
            if width > word.chars().count() as f64 * CHARACTER + 8.0 {
                let _ = write!(
                    svg,
                    "<text class='in' x='{:.1}' y='{middle:.1}'>{word}</text>",
                    x + 5.0
                );
            }
            if !words.contains(&(word.clone(), color)) {
                words.push((word, color));
            }
        }
    }
    if rows.is_empty() {
        let none = panel["fieldConfig"]["defaults"]["noValue"].as_str().unwrap_or("No data");
        let (x, y) = (size[0] / 2.0, height / 2.0);
        let _ = write!(
            svg,
            "<text class='none' x='{x:.0}' y='{y:.0}' text-anchor='middle'>{none}</text>"
        );
    }
    svg += &plot.events(events);
    let words = words
        .iter()
        .map(|(word, color)| format!("<span><i style='background:{color}'></i>{word}</span>"));
    svg + "</svg><div class='legend'>" + &words.collect::<String>() + "</div>"
}

/// From when to when which value held; where there is none, nothing held.
fn spans(points: &[(f64, f64)], step: f64) -> Vec<(f64, f64, f64)> {
    let mut spans: Vec<(f64, f64, f64)> = Vec::new();
    for (at, value) in points {
        match spans.last_mut() {
            Some((_, to, held)) if held == value && at - *to <= step / 2.0 => *to = at + step,
            _ => spans.push((*at, at + step, *value)),
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one_span_until_they_change_or_stop() {
        let points = [(0.0, 1.0), (2.0, 1.0), (4.0, 3.0), (10.0, 3.0)];
        assert_eq!(spans(&points, 2.0), [(0.0, 4.0, 1.0), (4.0, 6.0, 3.0), (10.0, 12.0, 3.0)]);
    }
}
