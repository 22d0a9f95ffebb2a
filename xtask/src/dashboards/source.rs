//! What a dashboard's source says: one TOML file each, strict, with short names for what all of them repeat.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::variables::Variable;
use super::words::Words;

/// In a query `{@target, …}` selects what the variables say of targets, `{@watchdog, …}` what they say of watchdogs, and
/// `{@service, …}` what they say of services.
const SELECTORS: [(&str, &str); 3] = [
    (
        "@target",
        r#"job=~"$job", namespace=~"$namespace", instance=~"$instance", target=~"$target""#,
    ),
    ("@watchdog", r#"job=~"$job", namespace=~"$namespace", instance=~"$instance""#),
    ("@service", r#"job=~"$job", namespace=~"$namespace", instance=~"$instance""#),
];

/// A dashboard.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dashboard {
    /// Its address in Grafana and the name of its file.
    pub(crate) uid: String,
    pub(super) title: String,
    pub(super) description: String,
    /// Where the shown time begins: `now-6h`.
    pub(super) from: String,
    /// How often it is drawn anew: `30s`.
    pub(super) refresh: String,
    /// What it is about: dashboards with the same tag link to each other with the values of their variables.
    #[serde(default)]
    pub(super) tag: Tag,
    /// In the order of their boxes; one that another's values depend on comes before it.
    pub(super) variables: Vec<Variable>,
    #[serde(default, rename = "annotation")]
    pub(super) annotations: Vec<Annotation>,
    #[serde(rename = "panel")]
    pub(super) panels: Vec<Panel>,
}

impl Dashboard {
    /// The queries that return nothing in the tests: `panel A` or `annotation name`, and why.
    pub(crate) fn expected_empty(&self) -> impl Iterator<Item = (String, &str)> {
        let of_panel = |panel: &'_ Panel, letter| format!("{} {letter}", panel.title);
        let panels = self.panels.iter().flat_map(move |panel| {
            panel.queries.iter().zip('A'..='Z').filter_map(move |(query, letter)| {
                Some((of_panel(panel, letter), query.empty.as_deref()?))
            })
        });
        let annotations = self.annotations.iter().filter_map(|annotation| {
            Some((format!("annotation {}", annotation.name), annotation.empty.as_deref()?))
        });
        panels.chain(annotations)
    }
}

/// What a dashboard is about.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Tag {
    /// The watchdogs and what they watch.
    #[default]
    Oomen,
    /// The services themselves, by their own metrics.
    Shop,
}

/// Events drawn over every panel.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Annotation {
    pub(super) name: String,
    pub(super) color: String,
    pub(super) expr: String,
    #[serde(default)]
    pub(super) title: String,
    #[serde(default)]
    pub(super) text: String,
    /// From the data source variable `loki`, not from Prometheus.
    #[serde(default)]
    pub(super) loki: bool,
    #[serde(default = "yes")]
    pub(super) enabled: bool,
    /// The value says when it was, in milliseconds since the Unix epoch.
    #[serde(default)]
    pub(super) value_is_time: bool,
    /// Why it returns nothing in the tests.
    pub(super) empty: Option<String>,
}

fn yes() -> bool {
    true
}

/// What a panel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// A heading, under which what follows can be folded.
    Row,
    /// One row a target or watchdog, made of several queries of now.
    Table,
    /// Figures of now.
    Stat,
    /// Lines over time.
    Lines,
    /// Counts over time.
    Bars,
    /// What holds over time, as coloured spans.
    Timeline,
}

/// A panel. Panels are laid out in their order, from the left, in lines that are full at 24.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) kind: Kind,
    #[serde(default)]
    pub(super) description: String,
    /// Width and height.
    #[serde(default = "row_size")]
    pub(super) size: [u64; 2],
    /// A row that stands once for each value of this variable.
    pub(super) repeat: Option<String>,
    #[serde(default)]
    pub(super) unit: String,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    /// Powers of ten are equally far apart on its axis.
    #[serde(default)]
    pub(super) log: bool,
    /// What stands where there is no value.
    pub(super) no_value: Option<String>,
    #[serde(default)]
    pub(super) stack: bool,
    /// The words that values stand for; a table has them by column, as a figure may be the place of a word.
    pub(super) words: Option<Words>,
    /// The words that a table's labels say.
    #[serde(default)]
    pub(super) labels: BTreeMap<String, Words>,
    /// The words that series are named by: each gets its colour.
    pub(super) names: Option<Words>,
    /// The colour of the lowest values, then further ones with the value from which they hold.
    #[serde(default)]
    pub(super) colors: Vec<Step>,
    #[serde(default)]
    pub(super) links: Vec<Link>,
    /// A table's columns from the left: labels and the names of queries' columns. It is sorted by the query `sorted`.
    #[serde(default)]
    pub(super) columns: Vec<String>,
    pub(super) sorted: Option<String>,
    /// The greatest first.
    #[serde(default)]
    pub(super) descending: bool,
    #[serde(default, rename = "query")]
    pub(super) queries: Vec<Query>,
}

fn row_size() -> [u64; 2] {
    [24, 1]
}

/// A colour and from which value it holds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    pub(super) color: String,
    pub(super) from: Option<f64>,
}

/// Where a click leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Link {
    /// The target's dashboard.
    Target,
    /// The watchdog's dashboard.
    Watchdog,
    /// The watchdog's own page.
    Page,
    /// The page where it shows the target.
    Card,
    /// The heap of now as a flamegraph.
    Flamegraph,
    /// The list of stored heap dumps.
    Dumps,
}

/// A query of a panel.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    pub(super) expr: String,
    /// What its series are called; a table has none.
    #[serde(default)]
    pub(super) legend: String,
    /// The column of its values; without one a table shows only its labels.
    pub(super) column: Option<String>,
    /// Of the column.
    pub(super) unit: Option<String>,
    /// Of the column: the words that its values stand for.
    pub(super) words: Option<Words>,
    /// Of the column: a bar up to this value.
    pub(super) bar: Option<f64>,
    /// Of the column: colours by value.
    #[serde(default)]
    pub(super) colors: Vec<Step>,
    #[serde(default)]
    pub(super) style: Style,
    /// Why it returns nothing in the tests.
    pub(super) empty: Option<String>,
}

/// How a query's lines are drawn.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Style {
    /// A line in a colour of Grafana's choice.
    #[default]
    Plain,
    /// The limit: red and dashed.
    Limit,
    /// Thin and dashed.
    Dashed,
    /// The lower edge of a band.
    Low,
    /// The upper edge; the band down to the lower one is filled.
    High,
}

/// The query with its selectors written out.
pub(super) fn selected(expression: &str) -> String {
    let text = SELECTORS
        .iter()
        .fold(expression.to_owned(), |text, (short, long)| text.replace(short, long));
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_written_out() {
        let text = selected("\na{@target, bound=\"low\"} / b{@watchdog}\n");
        assert!(text.starts_with("a{job=~\"$job\", "), "{text}");
        assert!(text.contains("target=~\"$target\", bound=\"low\"} / b{job"), "{text}");
        assert!(text.ends_with("instance=~\"$instance\"}"), "{text}");
    }

    #[test]
    fn a_misspelt_key_is_refused() {
        let good = "uid='u'\ntitle='T'\ndescription='D'\nfrom='now-1h'\nrefresh='1m'\nvariables=['job']\n\
            [[panel]]\ntitle='P'\nkind='lines'\n[[panel.query]]\nexpr='x'\nempty='never seen'\n";
        let read: Dashboard = toml::from_str(good).expect("a dashboard");
        assert_eq!(read.expected_empty().collect::<Vec<_>>(), [("P A".into(), "never seen")]);
        for (from, to) in [("refresh", "refersh"), ("expr", "expression"), ("lines", "line")] {
            assert!(toml::from_str::<Dashboard>(&good.replace(from, to)).is_err(), "{to}");
        }
    }
}
