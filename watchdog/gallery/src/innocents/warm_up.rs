//! A large table is read at start and stays; after that each request only looks things up.

use std::collections::HashMap;

use super::innocent;
use crate::catalogue::Entry;
use crate::drive::Program;
use crate::traffic::Request;

/// The truth about it.
pub(crate) const ENTRY: Entry = innocent(
    "warm-up",
    "A large table is loaded at start, and from then on nothing more is kept.",
    || Ok(Box::new(Table::load())),
);

/// 160,000 products of about half a kilobyte.
const PRODUCTS: u64 = 160_000;

struct Table {
    products: HashMap<u64, String>,
    found: u64,
}

impl Table {
    fn load() -> Self {
        let description = "A product that somebody will buy. ".repeat(15);
        let product = |id| (id, format!("{id}: {description}"));
        Self { products: (0..PRODUCTS).map(product).collect(), found: 0 }
    }
}

impl Program for Table {
    fn handle(&mut self, request: &Request) -> usize {
        let words = String::from_utf8_lossy(&request.body).to_lowercase();
        let product = self.products.get(&(request.id % PRODUCTS));
        self.found += u64::from(product.is_some_and(|product| product.len() < words.len()));
        words.len()
    }
}
