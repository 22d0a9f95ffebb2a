//! Orders: carts, checkout and what becomes of an order.
//!
//! | request | answer |
//! |---|---|
//! | `GET /cart`, `PUT /cart/items/{product}` | the cart of the customer, or of the visit before they sign in |
//! | `GET /cart/count` | how many pieces are in it |
//! | `POST /cart/merge` | the visit's cart becomes part of the customer's |
//! | `POST /orders` | the cart becomes an order, once per `Idempotency-Key` |
//! | `GET /orders`, `GET /orders/{id}` | the customer's orders |
//! | `POST /orders/{id}/cancel` | cancels one that is not done |
//!
//! What happens to an order after it was placed comes as events, see [`order`].

mod address;
mod api;
mod cart;
mod checkout;
pub mod order;
mod progress;
pub mod reference_cycle;
mod shelf;
mod store;
mod sweep;

use services_kit::inbox::Consumer;
use services_kit::outbox::Relay;
use services_kit::store::{Database, Migration};
use services_kit::{Kit, Service, bus};

use crate::api::Shop;
use crate::progress::Progress;
use crate::reference_cycle::ReferenceCycle;

/// The schema of the store.
pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 100,
    name: "orders",
    sql: include_str!("../migrations/100_orders.sql"),
}];

/// The service with its fault, ready to start.
///
/// # Errors
/// When its store or the bus cannot be opened.
pub async fn service(kit: Kit) -> anyhow::Result<Service> {
    let store = Database::of(&kit, MIGRATIONS).await?;
    let bus = bus::of(&kit).await?;
    Relay::start(&kit, store.clone(), bus.clone())?;
    let progress = Progress::register(kit.registry())?;
    let consumer = Consumer::start(&kit, store.clone(), bus, progress.clone())?;
    kit.spawn("sweep", sweep::sweep(store.clone(), progress.clone(), kit.stopping().clone()));
    let shop = Shop::new(&kit, store, progress);
    Ok(Service::new(kit, api::routes(shop))
        .admin(consumer.routes())
        .fault("reference-cycle", ReferenceCycle::default()))
}
