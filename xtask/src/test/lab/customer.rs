//! A customer of the shop: signs up at its one door and orders again and again, as the storefront page does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::visitor::Visitor;

const PAUSE_BETWEEN_ORDERS: Duration = Duration::from_secs(1);
/// The provider's test cards, in turn: most are good, one is declined.
const CARDS: [&str; 4] =
    ["4242424242424242", "4242424242424242", "4242424242424242", "4000000000000002"];

/// Orders until this is dropped.
pub(crate) struct Customer(Arc<AtomicBool>);

impl Customer {
    /// Registers, orders once while we wait, and goes on ordering.
    pub(crate) fn arrive(door: SocketAddr) -> Result<Self> {
        let mut visitor = Visitor::visit(door)?;
        visitor.register("ada@example.com")?;
        let products: Value = serde_json::from_slice(&visitor.get("/api/products?limit=24")?)?;
        let products = products["items"].as_array().context("no products")?;
        let products: Vec<String> =
            products.iter().filter_map(|one| Some(one["id"].as_str()?.to_owned())).collect();
        let first = products.first().context("nothing is sold here")?;
        visitor.order(first, CARDS[0], "lab-0")?;
        let gone = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&gone);
        thread::spawn(move || {
            let wishes = products.iter().cycle().zip(CARDS.iter().cycle()).zip(1..);
            for ((product, card), number) in wishes {
                thread::sleep(PAUSE_BETWEEN_ORDERS);
                if until.load(Ordering::Acquire) {
                    break;
                }
                // What is sold out is left; the dashboards show the refusals.
                visitor.order(product, card, &format!("lab-{number}")).ok();
            }
        });
        Ok(Self(gone))
    }
}

impl Drop for Customer {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
