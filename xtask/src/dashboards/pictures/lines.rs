//! Panels of lines, areas, bands and bars over time.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;

use super::look::{Look, palette};
use super::page::{escape, legend_height};
use super::plot::{Event, Plot};
use super::shown::Series;

/// A series with its name and how it is drawn.
struct Drawn<'a> {
    name: String,
    color: &'a str,
    look: Look<'a>,
    points: Vec<(f64, f64)>,
    /// Where its area begins, when series are stacked.
    base: Vec<f64>,
}

/// The panel's inside. `series` has what each query returned; `step` is the time between two values.
pub(super) fn draw(
    panel: &Value,
    series: &[Vec<Series>],
    events: &[Event],
    size: [f64; 2],
    time: [f64; 2],
    step: f64,
) -> String {
    let mut drawn = drawn(panel, series);
    let custom = &panel["fieldConfig"]["defaults"]["custom"];
    let bars = custom["drawStyle"] == "bars";
    if custom["stacking"]["mode"] == "normal" {
        stack(&mut drawn);
    }
    let legend = legend(&drawn);
    let names: Vec<_> = drawn.iter().map(|one| one.name.as_str()).collect();
    let height = size[1] - legend_height(&names, size[0]);
    let mut plot = Plot::new([size[0], height], time, range(panel, &drawn));
    plot.log = custom["scaleDistribution"]["type"] == "log";
    if plot.log {
        plot.low = plot.low.max(1.0);
        plot.high = plot.high.max(plot.low * 10.0);
    }
    let unit = panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap_or("none");
    let mut svg = format!("<svg width='{:.0}' height='{height:.0}'>", size[0]);
    svg += &plot.grid(unit);
    for one in &drawn {
        let below = one.look.property("custom.fillBelowTo").as_str();
        if let Some(lower) = below.and_then(|name| drawn.iter().find(|other| other.name == name)) {
            svg += &band(&plot, one, lower);
        } else if bars {
            svg += &columns(&plot, one, step);
        } else {
            svg += &area(&plot, one, step);
        }
    }
    for one in drawn.iter().filter(|_| !bars) {
        svg += &stroke(&plot, one, step);
    }
    if drawn.iter().all(|one| one.points.is_empty()) {
        let (x, y) = (plot.x((time[0] + time[1]) / 2.0), height / 2.0);
        let _ = write!(
            svg,
            "<text class='none' x='{x:.0}' y='{y:.0}' text-anchor='middle'>No data</text>"
        );
    }
    svg += &plot.events(events);
    svg + "</svg>" + &legend
}

fn drawn<'a>(panel: &'a Value, series: &[Vec<Series>]) -> Vec<Drawn<'a>> {
    let mut all: Vec<Drawn<'a>> = Vec::new();
    for (target, found) in super::look::list(&panel["targets"]).zip(series) {
        let legend = target["legendFormat"].as_str().unwrap_or_default();
        for one in found {
            let name = one.name(legend);
            let look = Look::of(panel, &name, target["refId"].as_str().unwrap_or_default());
            let color = look.fixed().unwrap_or_else(|| palette(all.len()));
            all.push(Drawn { name, color, look, points: one.points.clone(), base: Vec::new() });
        }
    }
    all
}

/// Each on top of those before it.
fn stack(drawn: &mut [Drawn<'_>]) {
    let mut heights: BTreeMap<i64, f64> = BTreeMap::new();
    for one in drawn {
        for (at, value) in &mut one.points {
            let height = heights.entry(*at as i64).or_default();
            one.base.push(*height);
            *height += *value;
            *value = *height;
        }
    }
}

/// From the lowest to the highest value, as far as the panel does not say where it ends.
fn range(panel: &Value, drawn: &[Drawn<'_>]) -> [f64; 2] {
    let defaults = &panel["fieldConfig"]["defaults"];
    let values = || drawn.iter().flat_map(|one| one.points.iter().map(|(_, value)| *value));
    let soft = defaults["custom"]["axisSoftMin"].as_f64();
    let low = defaults["min"]
        .as_f64()
        .unwrap_or_else(|| values().fold(soft.unwrap_or(f64::INFINITY), f64::min));
    let low = if low.is_finite() { low } else { 0.0 };
    let high = values().fold(f64::NEG_INFINITY, f64::max);
    let high = defaults["max"].as_f64().unwrap_or(if high > low {
        low + (high - low) * 1.05
    } else {
        low + 1.0
    });
    [low, high]
}

/// The runs without a gap.
fn runs(points: &[(f64, f64)], step: f64) -> impl Iterator<Item = &[(f64, f64)]> {
    points.chunk_by(move |a, b| b.0 - a.0 <= step * 1.5)
}

fn path(plot: &Plot, points: &[(f64, f64)]) -> String {
    let points =
        points.iter().map(|(at, value)| format!("{:.1} {:.1}", plot.x(*at), plot.y(*value)));
    points.collect::<Vec<_>>().join("L")
}

fn stroke(plot: &Plot, one: &Drawn<'_>, step: f64) -> String {
    let width = one.look.number("custom.lineWidth").unwrap_or(1.0) * 1.4;
    let dashed = one.look.property("custom.lineStyle")["fill"] == "dash";
    let dash = if dashed { " stroke-dasharray='8 6'" } else { "" };
    if width == 0.0 {
        return String::new();
    }
    let mut svg = String::new();
    for run in runs(&one.points, step) {
        let _ = write!(
            svg,
            "<path d='M{}' fill='none' stroke='{}' stroke-width='{width}' stroke-linejoin='round'{dash}/>",
            path(plot, run),
            one.color
        );
    }
    svg
}

/// What is filled under a line, down to the series below it or to zero.
fn area(plot: &Plot, one: &Drawn<'_>, step: f64) -> String {
    let opacity = one.look.number("custom.fillOpacity").unwrap_or(0.0) / 100.0;
    if opacity == 0.0 {
        return String::new();
    }
    let (mut svg, mut begin) = (String::new(), 0);
    for run in runs(&one.points, step) {
        let base = |index: usize| one.base.get(begin + index).copied().unwrap_or(plot.low.max(0.0));
        let below: Vec<_> =
            run.iter().enumerate().map(|(index, (at, _))| (*at, base(index))).rev().collect();
        let (above, below) = (path(plot, run), path(plot, &below));
        let _ = write!(
            svg,
            "<path d='M{above}L{below}Z' fill='{}' fill-opacity='{opacity}'/>",
            one.color
        );
        begin += run.len();
    }
    svg
}

/// The area between two series where both have values.
fn band(plot: &Plot, upper: &Drawn<'_>, lower: &Drawn<'_>) -> String {
    let opacity = upper.look.number("custom.fillOpacity").unwrap_or(0.0) / 100.0;
    let low: BTreeMap<i64, f64> =
        lower.points.iter().map(|(at, value)| (*at as i64, *value)).collect();
    let both: Vec<_> =
        upper.points.iter().filter(|(at, _)| low.contains_key(&(*at as i64))).collect();
    let mut svg = String::new();
    let step = both.windows(2).map(|pair| pair[1].0 - pair[0].0).fold(f64::INFINITY, f64::min);
    for run in both.chunk_by(|a, b| b.0 - a.0 <= step * 1.5) {
        let above: Vec<_> = run.iter().map(|point| **point).collect();
        let below: Vec<_> = run.iter().rev().map(|(at, _)| (*at, low[&(*at as i64)])).collect();
        let (above, below) = (path(plot, &above), path(plot, &below));
        let _ = write!(
            svg,
            "<path d='M{above}L{below}Z' fill='{}' fill-opacity='{opacity}'/>",
            upper.color
        );
    }
    svg
}

fn columns(plot: &Plot, one: &Drawn<'_>, step: f64) -> String {
    let width = (plot.x(plot.start + step) - plot.x(plot.start)).max(3.0);
    let mut svg = String::new();
    for (index, (at, value)) in one.points.iter().enumerate() {
        let base = one.base.get(index).copied().unwrap_or(0.0);
        if *value > base {
            let (top, bottom) = (plot.y(*value), plot.y(base));
            let _ = write!(
                svg,
                "<rect x='{:.1}' y='{top:.1}' width='{width:.1}' height='{:.1}' fill='{}'/>",
                plot.x(*at) - width / 2.0,
                bottom - top,
                one.color
            );
        }
    }
    svg
}

fn legend(drawn: &[Drawn<'_>]) -> String {
    let entries = drawn.iter().map(|one| {
        format!("<span><i style='background:{}'></i>{}</span>", one.color, escape(&one.name))
    });
    format!("<div class='legend'>{}</div>", entries.collect::<String>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn series(points: &[(f64, f64)]) -> Series {
        Series { points: points.to_vec(), ..Series::default() }
    }

    fn panel(custom: &Value) -> Value {
        json!({
            "fieldConfig": { "defaults": { "unit": "short", "min": 0, "custom": custom }, "overrides": [
                { "matcher": { "id": "byFrameRefID", "options": "A" },
                  "properties": [{ "id": "custom.fillBelowTo", "value": "low" }, { "id": "custom.fillOpacity", "value": 25 }] },
            ] },
            "targets": [{ "refId": "A", "legendFormat": "high" }, { "refId": "B", "legendFormat": "low" }],
        })
    }

    fn svg(custom: &Value, points: [&[(f64, f64)]; 2]) -> String {
        let series = points.map(|points| vec![series(points)]);
        draw(&panel(custom), &series, &[], [400.0, 200.0], [0.0, 10.0], 1.0)
    }

    #[test]
    fn a_gap_interrupts_a_line_and_a_band_reaches_as_far_as_both_its_edges() {
        let high = [(1.0, 5.0), (2.0, 6.0), (3.0, 7.0), (8.0, 6.0)];
        let drawn = svg(&json!({ "lineWidth": 1 }), [&high, &[(1.0, 1.0), (2.0, 1.0)]]);
        assert_eq!(drawn.matches("fill='none'").count(), 3, "two runs above, one below: {drawn}");
        assert_eq!(drawn.matches("fill-opacity='0.25'").count(), 1, "{drawn}");
        assert!(!drawn.contains("No data"));
    }

    #[test]
    fn bars_are_stacked_and_nothing_is_drawn_for_zero() {
        let custom = json!({ "drawStyle": "bars", "stacking": { "mode": "normal" } });
        let mut panel = panel(&custom);
        panel["fieldConfig"]["overrides"] = json!([]);
        let series = [vec![series(&[(1.0, 2.0), (2.0, 0.0)])], vec![series(&[(1.0, 3.0)])]];
        let mut all = drawn(&panel, &series);
        stack(&mut all);
        assert_eq!((all[1].base[0], all[1].points[0].1), (2.0, 5.0));
        let svg = draw(&panel, &series, &[], [400.0, 200.0], [0.0, 10.0], 1.0);
        assert_eq!(svg.matches("<rect").count(), 2, "{svg}");
    }

    #[test]
    fn an_empty_panel_says_so() {
        assert!(svg(&json!({}), [&[], &[]]).contains("No data"));
    }
}
