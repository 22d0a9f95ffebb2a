//! Panels of figures.

use serde_json::Value;

use super::look::{Look, color, list};
use super::page::escape;
use super::shown::Series;

/// The panel's inside: a tile for each series.
pub(super) fn draw(panel: &Value, series: &[Vec<Series>]) -> String {
    let mut tiles = Vec::new();
    for (target, found) in list(&panel["targets"]).zip(series) {
        let legend = target["legendFormat"].as_str().unwrap_or_default();
        for one in found {
            let name = one.name(legend);
            let look = Look::of(panel, &name, target["refId"].as_str().unwrap_or_default());
            let Some((_, value)) = one.points.last() else { continue };
            let (text, own) = look.shown(*value);
            tiles.push((name, text, look.fixed().or(own).unwrap_or(color("text"))));
        }
    }
    if tiles.is_empty() {
        let defaults = &panel["fieldConfig"]["defaults"];
        let none = defaults["noValue"].as_str().unwrap_or("No data");
        return format!("<div class='tiles'><div class='empty'>{none}</div></div>");
    }
    let named = tiles.len() > 1;
    let tiles = tiles.iter().map(|(name, text, color)| {
        let name = if named { format!("<small>{}</small>", escape(name)) } else { String::new() };
        format!("<div style='background:{color}'>{name}<b>{}</b></div>", escape(text))
    });
    format!("<div class='tiles'>{}</div>", tiles.collect::<String>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_figure_needs_no_name_and_none_has_its_words() {
        let panel = json!({
            "fieldConfig": { "defaults": { "unit": "bytes", "noValue": "none in sight" } },
            "targets": [{ "refId": "A", "legendFormat": "used" }],
        });
        let one = Series { points: vec![(1.0, 2048.0)], ..Series::default() };
        let drawn = draw(&panel, &[vec![one.clone()]]);
        assert!(drawn.contains("<b>2 KiB</b>") && !drawn.contains("used"), "{drawn}");
        assert!(draw(&panel, &[vec![one.clone(), one]]).contains("<small>used</small>"));
        assert!(draw(&panel, &[vec![]]).contains("none in sight"));
    }
}
