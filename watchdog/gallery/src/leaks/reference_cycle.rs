//! An order knows its basket and the basket its order, so that neither is ever freed.

use std::sync::{Arc, OnceLock};

use crate::catalogue::{Entry, Expected, Language};
use crate::drive::Program;
use crate::traffic::Request;

/// The truth about it.
pub(crate) const ENTRY: Entry = Entry {
    name: "reference-cycle",
    language: Language::Rust,
    leaks: true,
    what: "Each order and its basket hold each other by reference counts.",
    culprits: &[Expected { function: "open_order", file: "gallery/src/leaks/reference_cycle.rs" }],
    make: Some(|| Ok(Box::new(Checkout::default()))),
};

struct Order {
    document: Vec<u8>,
    basket: OnceLock<Arc<Basket>>,
}

struct Basket {
    customer: u64,
    /// It should have been a `Weak`.
    order: Arc<Order>,
}

#[derive(Default)]
struct Checkout {
    busiest: u64,
    largest: usize,
}

impl Program for Checkout {
    fn handle(&mut self, request: &Request) -> usize {
        let order = open_order(request);
        if let Some(basket) = order.basket.get() {
            self.busiest = self.busiest.max(basket.customer);
            self.largest = self.largest.max(basket.order.document.len());
        }
        order.document.len()
    }
}

fn open_order(request: &Request) -> Arc<Order> {
    let document = request.body.clone();
    let order = Arc::new(Order { document, basket: OnceLock::new() });
    let basket = Basket { customer: request.customer, order: Arc::clone(&order) };
    order.basket.get_or_init(|| Arc::new(basket));
    order
}
