//! Every `oomen_…` metric named in alerts, dashboards, manifests and documents is in docs/metrics.md.

use std::collections::BTreeSet;

use super::tree::Tree;

const CATALOGUE: &str = "docs/metrics.md";
const PREFIX: &str = "oomen_";
const PLACES: [&str; 4] = ["alerts/", "dashboards/", "docs/", "k8s/"];

pub(super) fn find(tree: &Tree) -> Vec<String> {
    let Some(text) = tree.text(CATALOGUE) else {
        return vec![format!("{CATALOGUE} is missing")];
    };
    let known = catalogue(text);
    if known.is_empty() {
        return vec![format!("{CATALOGUE}: no table row names a metric")];
    }
    let mut found = Vec::new();
    for (path, text) in tree.texts().filter(|(path, _)| is_checked(path)) {
        for name in named(text).difference(&known) {
            found.push(format!("{path}: {name} is not in {CATALOGUE}"));
        }
    }
    found
}

fn is_checked(path: &str) -> bool {
    path == "README.md" || (path != CATALOGUE && PLACES.iter().any(|place| path.starts_with(place)))
}

/// The metrics of the catalogue's table rows; a histogram also by the names of its series.
fn catalogue(text: &str) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for row in text.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<_> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let [_, name, kind, ..] = cells.as_slice() else { continue };
        if !name.starts_with(PREFIX) {
            continue;
        }
        let endings: &[&str] = match *kind {
            "histogram" => &["", "_bucket", "_sum", "_count"],
            "summary" => &["", "_sum", "_count"],
            _ => &[""],
        };
        known.extend(endings.iter().map(|ending| format!("{name}{ending}")));
    }
    known
}

/// Words that begin with the prefix, Rust paths (`oomen_probe::`) and prefixes (`oomen_target_*`) left out.
fn named(text: &str) -> BTreeSet<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(PREFIX)
        .filter(|(at, _)| !text[..*at].ends_with(|c: char| is_word(c) || c == '-'))
        .map(|(at, _)| {
            let rest = &text[at..];
            rest.split_at(rest.find(|c| !is_word(c)).unwrap_or(rest.len()))
        })
        .filter(|(name, after)| !after.starts_with("::") && !name.ends_with('_'))
        .map(|(name, _)| name.to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "| name | type |\n|---|---|\n| `oomen_up` | gauge | x |\n\
        | `oomen_wait_seconds` | histogram | x |\n";

    fn check(path: &str, text: &str) -> usize {
        find(&Tree::with(&[(CATALOGUE, TABLE), (path, text)])).len()
    }

    #[test]
    fn a_metric_that_does_not_exist_is_found_wherever_it_is_named() {
        for path in ["alerts/a.yaml", "dashboards/a.json", "docs/b.md", "k8s/a.yaml", "README.md"] {
            assert_eq!(check(path, "oomen_up == 1 and oomen_uptime > 3"), 1, "{path}");
        }
        assert_eq!(check("watchdog/web/src/lib.rs", "oomen_uptime"), 0);
    }

    #[test]
    fn the_series_of_a_histogram_exist_and_those_of_a_gauge_do_not() {
        assert_eq!(check("alerts/a.yaml", "rate(oomen_wait_seconds_bucket[5m])"), 0);
        assert_eq!(check("alerts/a.yaml", "rate(oomen_up_bucket[5m])"), 1);
    }

    #[test]
    fn words_that_are_no_metrics_are_left_alone() {
        assert_eq!(check("docs/a.md", "use oomen_probe::init; all oomen_target_*; my_oomen_x"), 0);
    }

    #[test]
    fn a_catalogue_that_is_missing_or_empty_is_found() {
        assert_eq!(find(&Tree::with(&[])).len(), 1);
        assert_eq!(find(&Tree::with(&[(CATALOGUE, "# Metrics")])).len(), 1);
    }
}
