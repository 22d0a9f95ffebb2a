//! What was found: tables to read, bounds that hold or do not, and what has to be said beside them.

use serde::Serialize;

/// One table.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Table {
    title: String,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// One bound that is to hold.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Bound {
    what: String,
    measured: String,
    bound: String,
    holds: bool,
}

/// All that is told.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Report {
    tables: Vec<Table>,
    bounds: Vec<Bound>,
    notes: Vec<String>,
}

impl Report {
    /// Adds a table.
    pub(crate) fn table(&mut self, title: &str, head: &[&str], rows: Vec<Vec<String>>) {
        let head = head.iter().map(|cell| (*cell).to_owned()).collect();
        self.tables.push(Table { title: title.to_owned(), head, rows });
    }

    /// Adds a bound: what is bounded, what was measured, what it may be, and whether it is.
    pub(crate) fn bound(&mut self, what: &str, measured: &str, bound: &str, holds: bool) {
        let (what, measured, bound) = (what.to_owned(), measured.to_owned(), bound.to_owned());
        self.bounds.push(Bound { what, measured, bound, holds });
    }

    /// Adds a sentence without which the figures would be misread.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Whether every bound holds.
    pub(crate) fn holds(&self) -> bool {
        self.bounds.iter().all(|bound| bound.holds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bound_that_falls_short_is_enough_to_fail() {
        let mut report = Report::default();
        assert!(report.holds());
        report.bound("time", "3 ms", "at most 5 ms", true);
        assert!(report.holds());
        report.bound("memory", "70 KiB", "at most 64 KiB", false);
        assert!(!report.holds());
    }
}
