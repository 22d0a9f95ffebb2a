//! Orders: customers who fill a cart and order it, one order after the other, until each order's customer was notified.
//!
//! An order is two requests – a product into the cart, the checkout – and all that the shop makes of it: stock, payment,
//! letter and lesson, by events. The clock of a turn runs until the last order is notified, so that nothing is counted
//! that piled up in a queue.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use services_engines::Shop;

use super::ShopArgs;
use super::stage::{Stage, cpu};
use crate::http;
use crate::visitor::Visitor;

/// How long what was accepted may take to be notified.
const NOTIFIED: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(25);
/// Seconds of ordering before it counts.
const WARM_UP: u16 = 3;

/// The provider's test card that is good.
const CARD: &str = "4242424242424242";

/// Orders per second of a shop in one turn.
#[derive(Debug, Serialize)]
pub(super) struct Speed {
    /// While customers ordered.
    pub(super) accepted: f64,
    /// Until the last was notified.
    pub(super) notified: f64,
    /// Until the last was notified, orders per second of CPU time of the services.
    pub(super) per_cpu: f64,
}

/// What was reached in one turn.
#[derive(Debug, Serialize)]
pub(super) struct Turn {
    /// Transactions per second.
    pub(super) pgbench: f64,
    pub(super) on: Speed,
    pub(super) off: Speed,
}

/// Takes turns.
pub(super) fn measure(stage: &mut Stage, args: &ShopArgs) -> Result<Vec<Turn>> {
    let mut on = Crowd::gather(&stage.on, &stage.products, args.customers)?;
    let mut off = Crowd::gather(&stage.off, &stage.products, args.customers)?;
    on.order_for(&stage.on, WARM_UP)?;
    off.order_for(&stage.off, WARM_UP)?;
    stage.analyze()?;
    let mut turns = Vec::new();
    for round in 0..args.rounds {
        let pgbench = stage.pgbench(args.customers, args.order_seconds)?;
        // Whoever is second finds another machine than the first.
        let (on, off) = if round % 2 == 0 {
            let on = on.order_for(&stage.on, args.order_seconds)?;
            (on, off.order_for(&stage.off, args.order_seconds)?)
        } else {
            let off = off.order_for(&stage.off, args.order_seconds)?;
            (on.order_for(&stage.on, args.order_seconds)?, off)
        };
        eprintln!(
            "orders/s: pgbench {pgbench:.0}, profiled {:.0} accepted and {:.0} notified ({:.0} per CPU s), not profiled {:.0} and {:.0} ({:.0})",
            on.accepted, on.notified, on.per_cpu, off.accepted, off.notified, off.per_cpu
        );
        turns.push(Turn { pgbench, on, off });
    }
    stage.on.all_live()?;
    stage.off.all_live()?;
    Ok(turns)
}

/// The customers of one shop.
struct Crowd {
    customers: Vec<Customer>,
    /// The orders service's admin port.
    counters: SocketAddr,
}

struct Customer {
    visitor: Visitor,
    products: Vec<String>,
    number: usize,
    orders: usize,
}

impl Crowd {
    fn gather(shop: &Shop, products: &[String], customers: u16) -> Result<Self> {
        ensure!(!products.is_empty(), "there is nothing to buy");
        let admin = shop.admins().find(|(service, _)| *service == "orders");
        let (_, counters) = admin.context("a shop without orders")?;
        let customer = |number: usize| {
            let mut visitor = Visitor::visit(shop.door())?;
            visitor.register(&format!("ada{number}@example.com"))?;
            Ok(Customer { visitor, products: products.to_vec(), number, orders: 0 })
        };
        let customers = (0..usize::from(customers)).map(customer).collect::<Result<_>>()?;
        Ok(Self { customers, counters })
    }

    fn order_for(&mut self, shop: &Shop, seconds: u16) -> Result<Speed> {
        let (before, used) = (self.notified()?, cpu(shop)?);
        let began = Instant::now();
        let until = began + Duration::from_secs(seconds.into());
        let accepted: usize = thread::scope(|scope| {
            let ordering: Vec<_> = self
                .customers
                .iter_mut()
                .map(|customer| scope.spawn(move || customer.order_until(until)))
                .collect();
            let joined = ordering.into_iter().map(|thread| match thread.join() {
                Ok(orders) => orders,
                Err(_) => bail!("a customer panicked"),
            });
            joined.sum::<Result<usize>>()
        })?;
        let ordered = began.elapsed();
        let late = Instant::now() + NOTIFIED;
        loop {
            let notified = self.notified()? - before;
            if notified >= accepted as f64 {
                break;
            }
            ensure!(
                Instant::now() < late,
                "of {accepted} orders, {notified} were notified within {NOTIFIED:?}"
            );
            thread::sleep(LOOK);
        }
        let per_second = |took: Duration| accepted as f64 / took.as_secs_f64();
        Ok(Speed {
            accepted: per_second(ordered),
            notified: per_second(began.elapsed()),
            per_cpu: accepted as f64 / (cpu(shop)? - used),
        })
    }

    /// How many orders the shop has notified since it was opened.
    fn notified(&self) -> Result<f64> {
        let (_, metrics) = http::get(self.counters, "/metrics")?;
        let metrics = String::from_utf8_lossy(&metrics);
        let counter = r#"shop_orders_total{state="notified"} "#;
        let value = metrics.lines().find_map(|line| line.strip_prefix(counter));
        Ok(value.context("no counter of orders")?.parse()?)
    }
}

impl Customer {
    fn order_until(&mut self, until: Instant) -> Result<usize> {
        let before = self.orders;
        while Instant::now() < until {
            self.order()?;
        }
        Ok(self.orders - before)
    }

    /// Each customer goes through the products at a pace of their own, so that they seldom want the same at once.
    fn order(&mut self) -> Result<()> {
        let Self { visitor, products, number, orders } = self;
        let product = &products[(*number * 37 + *orders * (2 * *number + 1)) % products.len()];
        visitor.order(product, CARD, &format!("{number}-{orders}"))?;
        *orders += 1;
        Ok(())
    }
}
