//! Every metric that alerts, dashboards, manifests and documents name is in a catalogue, has the labels that it is
//! selected by there, and every recorded series is recorded by a rule.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::Tree;

/// What the watchdog serves, and the shop. Each page is generated from the code.
const CATALOGUES: [Catalogue; 2] = [
    Catalogue { page: "docs/metrics.md", prefixes: &["oomen_"] },
    Catalogue { page: "docs/shop-metrics.md", prefixes: &["shop_", "http_request"] },
];
const PLACES: [&str; 4] = ["alerts/", "dashboards/", "docs/", "k8s/"];
/// What Prometheus adds to a series: where it was scraped, the bucket's bound; and what Prometheuses add to each other's.
const ADDED: [&str; 11] = [
    "__name__",
    "cluster",
    "container",
    "endpoint",
    "instance",
    "job",
    "le",
    "namespace",
    "node",
    "pod",
    "service",
];

struct Catalogue {
    page: &'static str,
    prefixes: &'static [&'static str],
}

/// Each series with its labels.
type Known = BTreeMap<String, BTreeSet<String>>;

pub(super) fn find(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for catalogue in &CATALOGUES {
        let Some(text) = tree.text(catalogue.page) else {
            found.push(format!("{} is missing", catalogue.page));
            continue;
        };
        let known = catalogue.read(text);
        if known.is_empty() {
            found.push(format!("{}: no table row names a metric", catalogue.page));
            continue;
        }
        for (path, text) in checked(tree) {
            found.extend(catalogue.breaches(&known, text).map(|what| format!("{path}: {what}")));
        }
    }
    let recorded = recorded(tree);
    for (path, text) in checked(tree) {
        let series: BTreeSet<_> = words(text).filter_map(|word| as_recorded(word.text)).collect();
        for name in series.into_iter().filter(|name| !recorded.contains(*name)) {
            found.push(format!("{path}: no rule in alerts/ records {name}"));
        }
    }
    found
}

fn checked(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    let is_page = |path: &str| CATALOGUES.iter().any(|catalogue| catalogue.page == path);
    tree.texts().filter(move |(path, _)| {
        *path == "README.md"
            || (!is_page(path) && PLACES.iter().any(|place| path.starts_with(place)))
    })
}

impl Catalogue {
    fn has(&self, name: &str) -> bool {
        self.prefixes.iter().any(|prefix| name.starts_with(prefix))
    }

    /// The metrics of the table rows; a histogram also by the names of its series.
    fn read(&self, text: &str) -> Known {
        let mut known = Known::new();
        for row in text.lines().filter(|line| line.starts_with('|')) {
            let cells: Vec<_> = row.split('|').map(str::trim).collect();
            let [_, name, kind, _, labels, ..] = cells.as_slice() else { continue };
            let name = name.trim_matches('`');
            if !self.has(name) {
                continue;
            }
            let endings: &[&str] = match *kind {
                "histogram" => &["", "_bucket", "_sum", "_count"],
                "summary" => &["", "_sum", "_count"],
                _ => &[""],
            };
            let labels: BTreeSet<String> =
                labels.split('`').skip(1).step_by(2).map(str::to_owned).collect();
            known.extend(endings.iter().map(|ending| (format!("{name}{ending}"), labels.clone())));
        }
        known
    }

    /// Names that are not in the catalogue, and labels that a metric does not have, each once.
    fn breaches(&self, known: &Known, text: &str) -> impl Iterator<Item = String> {
        let mut breaches = BTreeSet::new();
        for word in words(text) {
            // A series that a rule records is looked for among the rules; a Rust path names no metric.
            let name = word.text.trim_end_matches(':');
            if name.contains(':') || word.text.ends_with("::") || !self.has(name) {
                continue;
            }
            // `oomen_target_*` means several.
            if name.ends_with('_') || word.after.starts_with('*') {
                continue;
            }
            match known.get(name) {
                None => drop(breaches.insert(format!("{name} is not in {}", self.page))),
                Some(labels) => {
                    let odd = matchers(word.after)
                        .filter(|label| !labels.contains(*label) && !ADDED.contains(label));
                    breaches.extend(odd.map(|label| format!("{name} has no label {label}")));
                }
            }
        }
        breaches.into_iter()
    }
}

/// A word that may be the name of a series, and what follows it.
struct Word<'a> {
    text: &'a str,
    after: &'a str,
}

fn words(text: &str) -> impl Iterator<Item = Word<'_>> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let start = rest.find(is_word)?;
            let joined = rest[..start].ends_with('-');
            let (word, after) = rest[start..]
                .split_at(rest[start..].find(|c| !is_word(c)).unwrap_or(rest.len() - start));
            rest = after;
            // What is joined to something else, as in a file's name, names no metric.
            if !joined {
                return Some(Word { text: word.trim_start_matches(':'), after });
            }
        }
    })
}

/// Names of the labels in the braces that follow a metric, if any do.
fn matchers(after: &str) -> impl Iterator<Item = &str> {
    let inside = after.strip_prefix('{').and_then(|rest| Some(rest.split_once('}')?.0));
    inside.unwrap_or_default().split(',').filter_map(|part| {
        let (label, value) = part.trim().split_at_checked(part.trim().find(['=', '!'])?)?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let label = label.trim_end();
        let compares = ["=", "!=", "!~"].iter().any(|operator| value.starts_with(operator));
        (compares && !label.is_empty() && label.chars().all(is_name)).then_some(label)
    })
}

/// `level:metric:operation` with one of our metrics in the middle, as Prometheus' guide has recorded series named.
fn as_recorded(word: &str) -> Option<&str> {
    let name = word.trim_end_matches(':');
    let parts: Vec<&str> = name.split(':').collect();
    let [_, metric, _] = parts.as_slice() else { return None };
    CATALOGUES.iter().any(|catalogue| catalogue.has(metric)).then_some(name)
}

fn recorded(tree: &Tree) -> BTreeSet<&str> {
    let rules = tree.matching("alerts/", ".yaml");
    let lines = rules.flat_map(|(_, text)| text.lines());
    let names =
        lines.filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix("record:"));
    names.map(str::trim).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "| name | type | unit | labels |\n|---|---|---|---|\n\
        | `oomen_up` | gauge | 1 | `target`: its name; `state`: a, b |\n\
        | `oomen_wait_seconds` | histogram | seconds | – |\n";
    const SHOP: &str = "| `http_requests_total` | counter | x | `route`: one |\n\
        | `shop_orders_total` | counter | x | – |\n";
    const RULES: &str =
        "groups:\n- rules:\n  - record: namespace:oomen_up:sum\n    expr: sum(oomen_up)\n";

    fn check(path: &str, text: &str) -> Vec<String> {
        find(&Tree::with(&[
            (CATALOGUES[0].page, TABLE),
            (CATALOGUES[1].page, SHOP),
            ("alerts/recorded.yaml", RULES),
            (path, text),
        ]))
    }

    #[test]
    fn a_metric_that_does_not_exist_is_found_wherever_it_is_named() {
        for path in ["alerts/a.yaml", "dashboards/a.json", "docs/b.md", "k8s/a.yaml", "README.md"] {
            for (named, found) in [
                ("oomen_up == 1 and oomen_uptime > 3", 1),
                ("shop_orders_total, shop_order_total", 1),
                ("rate(http_requests_total[5m]), http_request_seconds", 1),
            ] {
                assert_eq!(check(path, named).len(), found, "{path}: {named}");
            }
        }
        assert!(check("watchdog/web/src/lib.rs", "oomen_uptime").is_empty());
    }

    #[test]
    fn the_series_of_a_histogram_exist_and_those_of_a_gauge_do_not() {
        assert!(check("alerts/a.yaml", "rate(oomen_wait_seconds_bucket{le=\"1\"}[5m])").is_empty());
        assert_eq!(check("alerts/a.yaml", "rate(oomen_up_bucket[5m])").len(), 1);
    }

    #[test]
    fn a_label_that_a_metric_does_not_have_is_found() {
        for (named, found) in [
            ("oomen_up{target=\"a\", state=~\"a|b\",instance=%q}", 0),
            ("oomen_up{@target, state!=\"a\"}", 0),
            ("oomen_up{}", 0),
            ("oomen_up{stage=\"a\"}", 1),
            ("oomen_up{target=\"a\", kind !~ \"x\"}", 1),
            ("oomen_wait_seconds_sum{target=\"a\"}", 1),
            ("printf \"oomen_up{stage=\\\"a\\\",target=%q}\"", 1),
        ] {
            assert_eq!(check("alerts/a.yaml", named).len(), found, "{named}");
        }
    }

    #[test]
    fn a_recorded_series_that_no_rule_records_is_found() {
        assert!(check("dashboards/a.json", "namespace:oomen_up:sum > 1").is_empty());
        let found = check("dashboards/a.json", "namespace:oomen_up:max > 1");
        assert_eq!(found, ["dashboards/a.json: no rule in alerts/ records namespace:oomen_up:max"]);
    }

    #[test]
    fn words_that_are_no_metrics_are_left_alone() {
        let text =
            "use oomen_probe::init; all oomen_target_*; my_oomen_x; my-oomen_x; oomen_up: it";
        assert!(check("docs/a.md", text).is_empty(), "{:?}", check("docs/a.md", text));
    }

    #[test]
    fn a_catalogue_that_is_missing_or_empty_is_found() {
        assert_eq!(find(&Tree::with(&[])).len(), 2);
        assert_eq!(find(&Tree::with(&[(CATALOGUES[0].page, "# Metrics")])).len(), 2);
    }
}
