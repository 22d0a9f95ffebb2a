//! Inventory: the products of the shop and what is in stock.
//!
//! | request | answer |
//! |---|---|
//! | `GET /products?q=&category=&sort=&cursor=&limit=` | products, a page at a time |
//! | `GET /products/{id}` | one, with its description |
//! | `POST /products:batch` `{"ids": […]}` | those of these that there are |
//! | `GET /categories` | the shelves |
//! | `GET /pictures/{sku}.svg` | a product's picture |
//! | `GET /stock/{id}` | what is available, reserved and sold |
//!
//! Stock moves by events: `order.placed` reserves it, `order.paid` sells it, `payment.failed` and `order.cancelled`
//! give it back, see [`reservation`]. More of it comes by `POST /admin/stock` on the admin port.

mod api;
pub mod fragmentation;
pub mod opening;
mod picture;
mod product;
pub mod reservation;
mod restock;
pub mod search;
pub mod seed;
pub mod stock;

use services_kit::inbox::Consumer;
use services_kit::outbox::Relay;
use services_kit::store::{Database, Migration};
use services_kit::{Kit, Service, bus};

use crate::api::Shop;
use crate::fragmentation::Fragmentation;
use crate::reservation::Reservations;

/// The schema of the store.
pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 100,
    name: "inventory",
    sql: include_str!("../migrations/100_inventory.sql"),
}];

/// The service with its fault, ready to start. An empty store is filled with the seeded catalogue.
///
/// # Errors
/// When its store or the bus cannot be opened.
pub async fn service(kit: Kit) -> anyhow::Result<Service> {
    let store = Database::of(&kit, MIGRATIONS).await?;
    opening::fill(&store).await?;
    let bus = bus::of(&kit).await?;
    Relay::start(&kit, store.clone(), bus.clone())?;
    let reservations = Reservations::register(kit.registry())?;
    kit.spawn("sweep", reservations.clone().sweep(store.clone(), kit.stopping().clone()));
    let consumer = Consumer::start(&kit, store.clone(), bus, reservations)?;
    let restock = restock::routes(store.clone());
    Ok(Service::new(kit, api::routes(Shop::new(store)))
        .admin(consumer.routes().merge(restock))
        .fault("fragmentation", Fragmentation::default()))
}
