//! Words that metrics say, each with its colour: the same on every dashboard.

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A set of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Words {
    /// How dangerous it is.
    State,
    /// What kind of growth it is.
    Verdict,
    /// What an incident goes through.
    Incident,
    /// What became of a read, a capture or a report.
    Outcome,
    /// Whether something is there.
    Presence,
    /// Whether something is switched on.
    Switch,
    /// Time left: what is beyond a month stands for none.
    TimeLeft,
}

/// Forecasts reach thirty days; queries put one day more where there is none, so that a table can be sorted by it.
const NO_END: u64 = 30 * 86400 + 1;

impl Words {
    /// The words with their colours; the value of a timeline is the place of its word.
    pub(super) fn colored(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::State => {
                &[("calm", "green"), ("suspect", "yellow"), ("leak", "orange"), ("imminent", "red")]
            }
            Self::Verdict => &[
                ("undecided", "gray"),
                ("steady", "green"),
                ("heap-leak", "red"),
                ("fragmentation", "orange"),
                ("off-heap", "purple"),
                ("page-cache", "blue"),
                ("tmpfs", "light-blue"),
                ("load", "light-green"),
            ],
            Self::Incident => &[
                ("suspected", "yellow"),
                ("confirmed", "orange"),
                ("imminent", "red"),
                ("recovered", "green"),
                ("killed", "dark-red"),
                ("gone", "gray"),
            ],
            Self::Outcome => &[
                ("ok", "green"),
                ("delivered", "green"),
                ("skipped", "yellow"),
                ("retried", "yellow"),
                ("failed", "red"),
                ("error", "red"),
                ("dropped", "dark-red"),
            ],
            Self::Presence => &[("gone", "red"), ("there", "green")],
            Self::Switch => &[("off", "gray"), ("on", "green")],
            Self::TimeLeft => &[],
        }
    }

    /// Grafana's mappings from a value – the place of the word, or the word itself – to the word in its colour.
    pub(super) fn mappings(self) -> Value {
        if self == Self::TimeLeft {
            let result = json!({ "text": "none in sight", "color": "green", "index": 0 });
            let options = json!({ "from": NO_END, "to": null, "result": result });
            return json!([{ "type": "range", "options": options }]);
        }
        let mut options = Map::new();
        for (place, (word, color)) in self.colored().iter().enumerate() {
            let shown = json!({ "text": word, "color": color, "index": place });
            options.insert(place.to_string(), shown.clone());
            options.insert((*word).to_owned(), shown);
        }
        json!([{ "type": "value", "options": options }])
    }

    /// Overrides that give each series that is named by a word its colour.
    pub(super) fn series(self) -> impl Iterator<Item = Value> {
        self.colored().iter().map(|(word, color)| {
            json!({
                "matcher": { "id": "byName", "options": word },
                "properties": [{ "id": "color", "value": { "mode": "fixed", "fixedColor": color } }],
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = include_str!("../../../docs/metrics.md");

    /// The values of a metric's label as the catalogue lists them.
    fn catalogued(metric: &str, label: &str) -> Vec<String> {
        let row = METRICS.lines().find(|line| line.starts_with(&format!("| `{metric}` |")));
        let labels = row.and_then(|row| row.split('|').nth(4)).expect("the metric's labels");
        let values = labels.split(&format!("`{label}`: ")).nth(1).expect("the label's values");
        let values = values.split(';').next().unwrap_or_default();
        values.split(',').map(|value| value.trim().to_owned()).collect()
    }

    #[test]
    fn every_state_and_verdict_of_the_catalogue_has_its_word_in_its_order() {
        for (words, metric, label) in [
            (Words::State, "oomen_target_state", "state"),
            (Words::Verdict, "oomen_target_verdict", "verdict"),
            (Words::Incident, "oomen_incidents_total", "state"),
        ] {
            let words: Vec<_> = words.colored().iter().map(|(word, _)| *word).collect();
            assert_eq!(words, catalogued(metric, label), "{metric}");
        }
    }

    #[test]
    fn every_outcome_of_the_catalogue_has_its_color() {
        for metric in
            ["oomen_source_reads_total", "oomen_heap_captures_total", "oomen_deliveries_total"]
        {
            for outcome in catalogued(metric, "outcome") {
                let colored = Words::Outcome.colored();
                assert!(colored.iter().any(|(word, _)| *word == outcome), "{metric}: {outcome}");
            }
        }
    }

    #[test]
    fn a_value_and_its_word_are_shown_alike() {
        let mappings = Words::State.mappings();
        let options = &mappings[0]["options"];
        assert_eq!(options["3"], options["imminent"]);
        assert_eq!(options["3"]["color"], "red");
    }
}
