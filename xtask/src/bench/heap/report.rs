//! What xtask-heap found, as Markdown to read and to quote, and as JSON.

use serde::{Deserialize, Serialize};

use crate::bench::table::markdown;

/// What xtask-heap prints; it would not be read if a field were missing.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    tables: Vec<Table>,
    bounds: Vec<Bound>,
    notes: Vec<String>,
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
    measured: String,
    bound: String,
    holds: bool,
}

/// The report with what it is about.
#[derive(Debug, Serialize)]
pub(super) struct Whole {
    commit: Option<String>,
    #[serde(flatten)]
    report: Report,
}

impl Report {
    /// The report with what it is about.
    pub(super) fn of(self, commit: Option<String>) -> Whole {
        Whole { commit, report: self }
    }

    /// Everything to read.
    pub(super) fn markdown(&self, commit: Option<&str>) -> String {
        let head = format!("# cargo xtask bench heap\n\nCommit {}.\n", commit.unwrap_or("unknown"));
        let mut parts = vec![head];
        for Table { title, head, rows } in &self.tables {
            let head: Vec<_> = head.iter().map(String::as_str).collect();
            parts.push(format!("## {title}\n\n{}", markdown(&head, rows)));
        }
        if !self.notes.is_empty() {
            let notes: String = self.notes.iter().map(|note| format!("- {note}\n")).collect();
            parts.push(format!("## How\n\n{notes}"));
        }
        let bounds: Vec<_> = self.bounds.iter().map(Bound::row).collect();
        let table = markdown(&["", "measured", "bound", ""], &bounds);
        parts.push(format!("## Bounds\n\n{table}"));
        parts.join("\n")
    }
}

impl Bound {
    fn row(&self) -> Vec<String> {
        let verdict = if self.holds { "ok" } else { "FALLS SHORT" };
        vec![self.what.clone(), self.measured.clone(), self.bound.clone(), verdict.to_owned()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = r#"{
        "tables":[{"title":"Formats","head":["tool","time"],"rows":[["jeprof","8.3 s"]]}],
        "bounds":[{"what":"faster than jeprof","measured":"64","bound":"at least 70","holds":false},
            {"what":"added","measured":"0 KiB","bound":"at most 64 KiB","holds":true}],
        "notes":["Files are in the page cache."]}"#;

    fn report() -> Report {
        serde_json::from_str(ANSWER).expect("as xtask-heap prints it")
    }

    #[test]
    fn the_report_has_tables_notes_and_bounds_with_their_verdicts() {
        let text = report().markdown(Some("abc1234"));
        for part in [
            "Commit abc1234.",
            "## Formats\n\n| tool   | time  |\n|--------|-------|\n| jeprof | 8.3 s |\n",
            "- Files are in the page cache.\n",
            "| faster than jeprof | 64       | at least 70    | FALLS SHORT |",
            "| added              | 0 KiB    | at most 64 KiB | ok          |",
        ] {
            assert!(text.contains(part), "{part}\nis not in\n{text}");
        }
    }

    #[test]
    fn the_json_has_the_commit_beside_the_figures() {
        let json = serde_json::to_value(report().of(Some("abc1234".into()))).expect("json");
        assert_eq!(
            (&json["commit"], &json["bounds"][0]["holds"]),
            (&"abc1234".into(), &false.into())
        );
    }
}
