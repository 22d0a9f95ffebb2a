//! Rendered pages are kept by visit, and no visit comes twice.

use std::collections::HashMap;

use crate::catalogue::{Entry, Expected, Language};
use crate::drive::Program;
use crate::traffic::Request;

/// The truth about it.
pub(crate) const ENTRY: Entry = Entry {
    name: "unbounded-cache",
    language: Language::Rust,
    leaks: true,
    what: "A cache keeps the page rendered for each visit and evicts none.",
    culprits: &[Expected {
        function: "remember_page",
        file: "gallery/src/leaks/unbounded_cache.rs",
    }],
    make: Some(|| Ok(Box::new(Pages::default()))),
};

/// What was rendered, by visit.
#[derive(Default)]
struct Pages {
    by_visit: HashMap<(u64, u64), Box<[u8]>>,
}

impl Program for Pages {
    fn handle(&mut self, request: &Request) -> usize {
        let page = render(request);
        self.remember_page((request.customer, request.id), &page);
        page.len()
    }
}

impl Pages {
    /// A visit has a number of its own, so that this is never hit and always grows.
    fn remember_page(&mut self, visit: (u64, u64), page: &[u8]) {
        self.by_visit.insert(visit, page.into());
    }
}

fn render(request: &Request) -> Vec<u8> {
    let mut page = b"<!doctype html><title>Shop</title><pre>".to_vec();
    page.extend_from_slice(&request.body);
    page.extend_from_slice(b"</pre>");
    page
}
