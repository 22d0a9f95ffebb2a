//! Every query of every dashboard, asked again and again until it has data: what a panel shows of a leak and what it
//! shows of a kill are not there at the same time.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::queries::{self, Query};
use crate::dashboards;
use crate::test::prometheus::Prometheus;
use crate::test::tally::Tally;

/// What a panel shows here: all of the proof's time.
const SHOWN: Duration = Duration::from_secs(300);

/// The queries with what became of them.
pub(super) struct Questions(Vec<Question>);

struct Question {
    query: Query,
    /// Why there is no data.
    empty: Option<String>,
    answer: Answer,
}

enum Answer {
    /// No data yet.
    None,
    /// What Prometheus said against the query, for the time being.
    Refused(anyhow::Error),
    /// Data, and whether it is what is shown.
    Given(Result<()>),
}

impl Questions {
    /// Of all dashboards.
    pub(super) fn read() -> Result<Self> {
        let mut all = Vec::new();
        for source in dashboards::sources()? {
            let marked = source.expected_empty();
            let marked: BTreeMap<_, _> =
                marked.map(|(place, why)| (format!("{}: {place}", source.uid), why)).collect();
            let queries = queries::of(&source.uid, &dashboards::render(&source)?);
            all.extend(queries.into_iter().map(|query| {
                let empty = marked.get(&query.place).map(|why| (*why).to_owned());
                Question { query, empty, answer: Answer::None }
            }));
        }
        ensure!(!all.is_empty(), "no dashboard asks for anything");
        Ok(Self(all))
    }

    /// Whether all that should have data have had it.
    pub(super) fn are_answered(&self) -> bool {
        self.0.iter().all(|one| one.empty.is_some() || matches!(one.answer, Answer::Given(_)))
    }

    /// Asks those that have not had data.
    pub(super) fn ask(&mut self, prometheus: &Prometheus) {
        let pending = self.0.iter_mut().filter(|one| one.empty.is_none());
        for one in pending.filter(|one| !matches!(one.answer, Answer::Given(_))) {
            one.answer = match series(prometheus, &one.query) {
                Ok(series) if series.is_empty() => Answer::None,
                Ok(series) => Answer::Given(labelled(&one.query, &series)),
                Err(error) => Answer::Refused(error),
            };
        }
    }

    /// Counts each as a test.
    pub(super) fn check(self, tally: &mut Tally, prometheus: &Prometheus) {
        for Question { query, empty, answer } in self.0 {
            let name = match &empty {
                None => format!("proof: {} has data", query.place),
                Some(why) => format!("proof: {} has none, as {why}", query.place),
            };
            let outcome = match (empty, answer) {
                (Some(_), _) => none(prometheus, &query),
                (None, Answer::Given(outcome)) => outcome,
                (None, Answer::Refused(error)) => Err(error),
                (None, Answer::None) => no_data(&query),
            };
            tally.check(&name, outcome.with_context(|| query.expression.clone()));
        }
    }
}

fn no_data(query: &Query) -> Result<()> {
    bail!("{} had no data at any time", query.place)
}

/// Its series have the labels that are shown of it and that links are made of.
fn labelled(query: &Query, series: &[Value]) -> Result<()> {
    for one in series {
        let missing = query.labels.iter().find(|label| one[label.as_str()].is_null());
        ensure!(missing.is_none(), "{one} has no {missing:?}");
    }
    Ok(())
}

/// It is a query all the same, and has to lose its mark once it returns something.
fn none(prometheus: &Prometheus, query: &Query) -> Result<()> {
    let found = series(prometheus, query)?.len();
    ensure!(found == 0, "{found} series: take away `empty`");
    Ok(())
}

fn series(prometheus: &Prometheus, query: &Query) -> Result<Vec<Value>> {
    if query.over_time {
        return prometheus.series_over(&query.expression, SHOWN);
    }
    prometheus.series(&query.expression)
}
