//! Two mistakes in one service: of every four requests three are kept by one function and one by the other.

use std::collections::BTreeMap;

use crate::catalogue::{Entry, Expected, Language};
use crate::drive::Program;
use crate::traffic::Request;

/// The truth about it.
pub(crate) const ENTRY: Entry = Entry {
    name: "two-leaks",
    language: Language::Rust,
    leaks: true,
    what: "Two functions keep memory, one three times as much as the other.",
    culprits: &[
        Expected { function: "file_receipt", file: "gallery/src/leaks/two_leaks.rs" },
        Expected { function: "log_search", file: "gallery/src/leaks/two_leaks.rs" },
    ],
    make: Some(|| Ok(Box::new(Office::default()))),
};

#[derive(Default)]
struct Office {
    receipts: BTreeMap<u64, Vec<u8>>,
    searches: Vec<String>,
}

impl Office {
    fn file_receipt(&mut self, order: u64, receipt: &[u8]) {
        self.receipts.insert(order, receipt.to_vec());
    }

    fn log_search(&mut self, words: &[u8]) {
        self.searches.push(String::from_utf8_lossy(words).into_owned());
    }
}

impl Program for Office {
    fn handle(&mut self, request: &Request) -> usize {
        match request.route {
            "/search" => self.log_search(&request.body),
            _ => self.file_receipt(request.id, &request.body),
        }
        request.body.len()
    }
}
