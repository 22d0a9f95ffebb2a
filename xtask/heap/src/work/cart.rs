//! A JSON service: a shopping cart of twenty items, made anew for each request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use super::tell;
use crate::machine;

const ITEMS: u64 = 20;

/// Where it listens.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Served {
    /// On loopback.
    pub(crate) port: u16,
}

#[derive(Serialize)]
struct Cart {
    id: String,
    customer: String,
    items: Vec<Item>,
    total: u64,
}

#[derive(Serialize)]
struct Item {
    sku: String,
    name: String,
    tags: Vec<String>,
    quantity: u64,
    price: u64,
}

/// One thread for the service, on the processor of what is measured.
pub(super) fn run() -> Result<()> {
    oomen_probe::record();
    machine::pin(machine::MEASURED)?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve())
}

async fn serve() -> Result<()> {
    let served = Arc::new(AtomicU64::new(0));
    let routes = Router::new()
        .route("/cart", get(cart))
        .route(
            "/served",
            get(|State(served): State<Arc<AtomicU64>>| async move {
                served.load(Ordering::Relaxed).to_string()
            }),
        )
        .with_state(served);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    tell(&Served { port: listener.local_addr()?.port() })?;
    Ok(axum::serve(listener, routes).await?)
}

async fn cart(State(served): State<Arc<AtomicU64>>) -> Json<Cart> {
    let number = served.fetch_add(1, Ordering::Relaxed) + 1;
    let items: Vec<Item> =
        (0..ITEMS).map(|place| item(number.wrapping_add(place * 7919))).collect();
    let total = items.iter().map(|item| item.quantity * item.price).sum();
    Json(Cart {
        id: format!("cart-{number:012}"),
        customer: format!("customer-{:08}", number % 99_991),
        items,
        total,
    })
}

fn item(number: u64) -> Item {
    Item {
        sku: format!("sku-{:06}", number % 999_983),
        name: format!("A thing that people put into carts, number {number}"),
        tags: (0..3).map(|tag| format!("tag-{}", number.wrapping_mul(31) % (97 + tag))).collect(),
        quantity: number % 5 + 1,
        price: number % 10_007 + 99,
    }
}
