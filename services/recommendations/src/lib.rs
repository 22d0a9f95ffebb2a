//! Recommendations: what is bought together, learned from orders as they come.
//!
//! | request | answer |
//! |---|---|
//! | `POST /orders` `{"items": ["…", …]}` | learns which items were bought together |
//! | `GET /recommendations/{item}?limit=` | what is most often bought with it, filled up with what is popular |
//! | `GET /items/popular?limit=` | what is in most orders |
//!
//! Memory is bounded whatever is sent: see [`model`] for the caps and what gives way at them.

mod api;
pub mod cache;
mod item;
pub mod model;

use services_kit::{Kit, Service};

use crate::api::Shop;
use crate::cache::UnboundedCache;

/// The service with its faults, ready to start. It needs none of the others and answers whoever asks.
///
/// # Errors
/// When two of its metrics have one name.
pub async fn service(kit: Kit) -> anyhow::Result<Service> {
    let shop = Shop::register(kit.registry())?;
    Ok(Service::new(kit, api::routes(shop))
        .open()
        .fault("unbounded-cache", UnboundedCache::default()))
}
