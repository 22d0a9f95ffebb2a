//! What operators may do to the stock: `POST /admin/stock` on the admin port, when goods were delivered.

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use serde::{Deserialize, Serialize};
use services_kit::store::Database;
use services_kit::{ApiError, Json};

use crate::product::is_id;
use crate::stock::{self, MOST};

/// The routes of the admin port.
pub(crate) fn routes(store: Database) -> Router {
    Router::new().route("/admin/stock", post(delivered)).with_state(store)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delivery {
    /// Which product; every one without.
    product_id: Option<String>,
    /// Units of each.
    quantity: i64,
}

#[derive(Serialize)]
struct Delivered {
    /// How many products have more now.
    products: u64,
}

async fn delivered(
    State(store): State<Database>,
    Json(Delivery { product_id, quantity }): Json<Delivery>,
) -> Result<Json<Delivered>, ApiError> {
    if !(1..=MOST).contains(&quantity) {
        let message = format!("quantity is {quantity}, it must be 1 to {MOST}");
        return Err(ApiError::unprocessable(message));
    }
    let products = match product_id.as_deref() {
        Some(id) if !is_id(id) => 0,
        id => stock::deliver(&store, id, quantity).await?,
    };
    if products == 0 {
        return Err(ApiError::not_found("there is no such product"));
    }
    tracing::info!(product_id, quantity, products, "stock was delivered");
    Ok(Json(Delivered { products }))
}
