//! What a cart is filled from: the products of the inventory.

use serde::{Deserialize, Serialize};
use serde_json::json;
use services_kit::ApiError;
use services_kit::client::Client;
use utoipa::ToSchema;

/// A product as the inventory shows it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Product {
    pub(crate) id: String,
    pub(crate) sku: String,
    pub(crate) name: String,
    /// The category's id.
    pub(crate) category: String,
    pub(crate) category_name: String,
    /// Of one, in cents.
    pub(crate) price: i64,
    #[schema(example = "EUR")]
    pub(crate) currency: String,
    /// The address of its picture.
    pub(crate) picture: String,
    /// Units that can be ordered now.
    pub(crate) available: i64,
}

impl Product {
    /// Says that this many are too many.
    pub(crate) fn short(&self) -> ApiError {
        let message = match self.available {
            ..=0 => format!("{} is sold out.", self.name),
            left => format!("Only {left} left of {}.", self.name),
        };
        ApiError::conflict(message).code("out_of_stock")
    }
}

#[derive(Deserialize)]
struct Found {
    items: Vec<Product>,
}

/// Those of these products that there are.
pub(crate) async fn products(inventory: &Client, ids: &[&str]) -> Result<Vec<Product>, ApiError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let call = inventory.post("/products:batch").json(&json!({ "ids": ids })).idempotent();
    let Found { items } = call.send().await?;
    Ok(items)
}
