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

use services_kit::Service;
use services_kit::prometheus::{Error, Registry};

use crate::api::Shop;
use crate::cache::{BoundedCache, UnboundedCache};

/// The service with its faults, ready to start.
///
/// # Errors
/// When two of its metrics have one name.
pub fn service() -> Result<Service, Error> {
    let registry = Registry::new();
    let shop = Shop::register(&registry)?;
    Ok(Service::new("recommendations", api::routes(shop))
        .metrics(registry)
        .fault("unbounded-cache", UnboundedCache::default())
        .fault("bounded-cache", BoundedCache::default()))
}
