//! What xtask-detect found, as Markdown to read and to quote, and as JSON.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::bench::table::markdown;

/// What was measured, and on what.
#[derive(Debug, Serialize)]
pub(super) struct Run {
    pub(super) commit: Option<String>,
    pub(super) seeds: u64,
    pub(super) first_seed: u64,
    pub(super) traces: Option<PathBuf>,
}

/// What xtask-detect prints; it would not be read if a field were missing.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    tables: Vec<Table>,
    bounds: Vec<Bound>,
    faults: Vec<Fault>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Table {
    title: String,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Bound {
    what: String,
    /// None where there was nothing to divide by.
    figure: Option<f64>,
    bound: String,
    holds: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Fault {
    series: String,
    why: String,
    picture: PathBuf,
}

/// The report with what it is about.
#[derive(Debug, Serialize)]
pub(super) struct Whole {
    #[serde(flatten)]
    run: Run,
    #[serde(flatten)]
    report: Report,
}

impl Run {
    fn head(&self) -> String {
        let last = self.first_seed.saturating_add(self.seeds - 1);
        format!(
            "Commit {}; made-up series of the seeds {} to {last} of each family; {}.",
            self.commit.as_deref().unwrap_or("unknown"),
            self.first_seed,
            match &self.traces {
                Some(directory) => format!("recorded series of {}", directory.display()),
                None => "no recorded series (--traces or OOMEN_TRACES names some)".to_owned(),
            }
        )
    }
}

impl Report {
    /// The report with what it is about.
    pub(super) fn of(self, run: Run) -> Whole {
        Whole { run, report: self }
    }

    /// Everything to read; pictures are named as seen from `out`, where the text will lie.
    pub(super) fn markdown(&self, run: &Run, out: &Path) -> String {
        let mut parts = vec![format!("# cargo xtask bench detect\n\n{}\n", run.head())];
        for Table { title, head, rows } in &self.tables {
            let head: Vec<_> = head.iter().map(String::as_str).collect();
            parts.push(format!("## {title}\n\n{}", markdown(&head, rows)));
        }
        let bounds: Vec<_> = self.bounds.iter().map(Bound::row).collect();
        let table = markdown(&["", "measured", "bound", ""], &bounds);
        parts.push(format!("## Bounds\n\n{table}"));
        let faults: String = self.faults.iter().map(|fault| fault.line(out)).collect();
        let faults = if faults.is_empty() { "None.\n".to_owned() } else { faults };
        parts.push(format!("## Misses and false alarms\n\n{faults}"));
        parts.join("\n")
    }
}

impl Bound {
    fn row(&self) -> Vec<String> {
        let figure = self.figure.map_or_else(|| "–".to_owned(), |figure| format!("{figure:.4}"));
        let verdict = if self.holds { "holds" } else { "FAILS" };
        vec![self.what.clone(), figure, self.bound.clone(), verdict.to_owned()]
    }
}

impl Fault {
    fn line(&self, out: &Path) -> String {
        let picture = self.picture.strip_prefix(out).unwrap_or(&self.picture);
        format!("- {}: {}: [{2}]({2})\n", self.series, self.why, picture.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = r#"{"seeds":[1000,1004],
        "tables":[{"title":"Leaks","head":["family","caught"],"rows":[["steady","80.0 %"]]}],
        "bounds":[{"what":"leaks caught","figure":0.8,"bound":"at least 0.98","holds":false},
            {"what":"lead","figure":null,"bound":"at least 2","holds":true}],
        "faults":[{"series":"steady 1003","why":"missed","picture":"out/pictures/steady-1003.svg"}]}"#;

    fn run(traces: Option<&str>) -> Run {
        let traces = traces.map(PathBuf::from);
        Run { commit: Some("abc1234+changes".into()), seeds: 5, first_seed: 1000, traces }
    }

    fn report() -> Report {
        serde_json::from_str(ANSWER).expect("as xtask-detect prints it")
    }

    #[test]
    fn the_report_says_what_was_measured_on_what_and_what_failed() {
        let text = report().markdown(&run(None), Path::new("out"));
        for part in [
            "Commit abc1234+changes; made-up series of the seeds 1000 to 1004 of each family; no recorded",
            "## Leaks\n\n| family | caught |\n|--------|--------|\n| steady | 80.0 % |\n",
            "| leaks caught | 0.8000   | at least 0.98 | FAILS |",
            "| lead         | –        | at least 2    | holds |",
            "- steady 1003: missed: [pictures/steady-1003.svg](pictures/steady-1003.svg)",
        ] {
            assert!(text.contains(part), "{part}\nis not in\n{text}");
        }
        assert!(run(Some("traces")).head().ends_with("; recorded series of traces."));
    }

    #[test]
    fn without_a_fault_that_is_said() {
        let report = Report { faults: Vec::new(), ..report() };
        assert!(report.markdown(&run(None), Path::new("out")).ends_with("alarms\n\nNone.\n"));
    }

    #[test]
    fn the_json_has_what_was_measured_beside_the_figures() {
        let json = serde_json::to_value(report().of(run(None))).expect("json");
        assert_eq!(json["commit"], "abc1234+changes");
        assert_eq!((&json["seeds"], &json["first_seed"]), (&5.into(), &1000.into()));
        assert_eq!(json["bounds"][0]["holds"], false);
        assert_eq!(json["faults"][0]["series"], "steady 1003");
    }
}
