//! A library keeps the memory, as it was asked to: a counter with a label that is new with each visit.

use prometheus::{IntCounterVec, Opts};

use crate::catalogue::{Entry, Expected, Language};
use crate::drive::Program;
use crate::traffic::Request;

/// The truth about it.
pub(crate) const ENTRY: Entry = Entry {
    name: "library",
    language: Language::Rust,
    leaks: true,
    what: "A metrics library keeps a counter for each visit, because the visit is a label.",
    culprits: &[Expected { function: "count_visit", file: "gallery/src/leaks/library.rs" }],
    make: Some(|| Ok(Box::new(Visits::new()?))),
};

/// What a counter with two labels takes of resident memory, about: the values of the labels, the counter, its place in
/// the map.
const COUNTER: usize = 430;

struct Visits {
    counters: IntCounterVec,
}

impl Visits {
    fn new() -> anyhow::Result<Self> {
        let options = Opts::new("shop_visits_total", "Visits.");
        Ok(Self { counters: IntCounterVec::new(options, &["route", "visit"])? })
    }

    fn count_visit(&self, route: &str, visit: u64) {
        let visit = format!("{visit:016x}");
        self.counters.with_label_values(&[route, visit.as_str()]).inc();
    }
}

impl Program for Visits {
    fn handle(&mut self, request: &Request) -> usize {
        self.count_visit(request.route, request.id);
        COUNTER
    }
}
