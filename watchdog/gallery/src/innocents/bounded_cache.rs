//! A cache of products: it fills the slower the more is in it, and beyond its cap the oldest page gives way.

use std::collections::{HashMap, VecDeque};

use super::innocent;
use crate::catalogue::Entry;
use crate::drive::Program;
use crate::traffic::Request;

/// The truth about it.
pub(crate) const ENTRY: Entry = innocent(
    "bounded-cache",
    "A cache fills up to its cap, and from then on the oldest gives way.",
    || Ok(Box::new(Pages::default())),
);

/// What it holds at most, bytes.
const CAP: usize = 48 << 20;

/// Products that are looked at. Their pages would take a fifth more than there is room for.
const PRODUCTS: u64 = 7_500;

#[derive(Default)]
struct Pages {
    by_product: HashMap<u64, Vec<u8>>,
    by_age: VecDeque<u64>,
    held: usize,
}

impl Pages {
    fn remember(&mut self, product: u64, page: &[u8]) {
        self.by_product.insert(product, page.to_vec());
        self.by_age.push_back(product);
        self.held += page.len();
        while self.held > CAP {
            let oldest = self.by_age.pop_front().and_then(|oldest| self.by_product.remove(&oldest));
            let Some(oldest) = oldest else { break };
            self.held -= oldest.len();
        }
    }
}

impl Program for Pages {
    fn handle(&mut self, request: &Request) -> usize {
        // Spread without a random number, as customers' wishes are.
        let product = (request.id.wrapping_mul(0xd1b5_4a32_d192_ed03) >> 40) % PRODUCTS;
        if !self.by_product.contains_key(&product) {
            self.remember(product, &request.body);
        }
        request.body.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::Traffic;

    #[test]
    fn it_fills_to_its_cap_and_never_beyond() {
        let (mut pages, mut traffic) = (Pages::default(), Traffic::default());
        for _ in 0..50_000 {
            pages.handle(&traffic.receive());
            assert!(pages.held <= CAP);
        }
        let held: usize = pages.by_product.values().map(Vec::len).sum();
        assert_eq!(held, pages.held);
        assert_eq!(pages.by_age.len(), pages.by_product.len());
        assert!(pages.held > CAP - CAP / 10, "{}", pages.held);
    }
}
