//! A journal of anything: one kind of entry is truncated once it was written out, the other was forgotten.

use crate::catalogue::{Entry, Expected, Language};
use crate::drive::Program;
use crate::traffic::Request;

/// The truth about it.
pub(crate) const ENTRY: Entry = Entry {
    name: "generic",
    language: Language::Rust,
    leaks: true,
    what: "A generic journal is truncated for one kind of entry and not for the other.",
    culprits: &[Expected { function: "append_entry", file: "gallery/src/leaks/generic.rs" }],
    make: Some(|| Ok(Box::new(Books::default()))),
};

/// What can be written down.
trait Entrant {
    fn size(&self) -> usize;
}

#[derive(Clone)]
struct Sale(Vec<u8>);

#[derive(Clone)]
struct Visit([u64; 4]);

impl Entrant for Sale {
    fn size(&self) -> usize {
        self.0.len()
    }
}

impl Entrant for Visit {
    fn size(&self) -> usize {
        size_of_val(&self.0)
    }
}

/// Entries that are not written out yet.
struct Journal<T> {
    entries: Vec<Box<T>>,
    written: u64,
}

impl<T> Default for Journal<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), written: 0 }
    }
}

impl<T: Entrant + Clone> Journal<T> {
    fn append_entry(&mut self, entry: &T) -> usize {
        self.entries.push(Box::new(entry.clone()));
        entry.size()
    }

    fn truncate(&mut self) {
        self.written += self.entries.len() as u64;
        self.entries.clear();
    }
}

#[derive(Default)]
struct Books {
    sales: Journal<Sale>,
    visits: Journal<Visit>,
}

impl Program for Books {
    fn handle(&mut self, request: &Request) -> usize {
        self.visits.append_entry(&Visit([request.id, request.customer, 1, 2]));
        if request.id.is_multiple_of(100) {
            self.visits.truncate();
        }
        self.sales.append_entry(&Sale(request.body.clone()))
    }
}
