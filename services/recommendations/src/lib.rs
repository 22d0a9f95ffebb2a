//! Recommendations: what is bought together, learned from orders as they come.
//!
//! | request | answer |
//! |---|---|
//! | `POST /orders` `{"items": ["…", …]}` | learns which items were bought together |
//! | `GET /recommendations/{item}?limit=` | what is most often bought with it, filled up with what is popular |
//! | `GET /items/popular?limit=` | what is in most orders |
//!
//! Alone, it learns from what is sent to it, keeps nothing on disk and answers anybody. In a shop – with `SHOP_DATA`,
//! `DATABASE_URL` or `AMQP_URL` – it also learns from `order.paid`, keeps those orders, see [`lessons`], and answers the
//! shop's services only.
//!
//! Memory is bounded whatever is sent: see [`model`] for the caps and what gives way at them.

mod api;
pub mod cache;
mod item;
pub mod lessons;
pub mod model;

use services_kit::{Kit, Service};

use crate::api::Shop;
use crate::cache::UnboundedCache;

/// The service with its faults, ready to start.
///
/// # Errors
/// When two of its metrics have one name; in a shop, when its store or the bus cannot be opened.
pub async fn service(kit: Kit) -> anyhow::Result<Service> {
    let shop = Shop::register(kit.registry())?;
    let service = Service::new(kit.clone(), api::routes(shop.clone()))
        .fault("unbounded-cache", UnboundedCache::default());
    if kit.options().in_a_shop() {
        let consumer = lessons::attend(&kit, shop).await?;
        Ok(service.admin(consumer.routes()))
    } else {
        Ok(service.open())
    }
}
