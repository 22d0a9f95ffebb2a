//! Carts as people see them: lines with their products, and what they cost.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use services_kit::openapi::{Api, routes as handlers};
use services_kit::store::now_ms;
use services_kit::{ApiError, Internal, Json, Path};
use utoipa::ToSchema;

use super::Shop;
use crate::cart::{self, CartLine, MOST_OF_ONE, Owner};
use crate::shelf::{self, Product};

/// The longest id of a product, in bytes.
const LONGEST_ID: usize = 64;

pub(super) fn routes() -> Api<Shop> {
    Api::new()
        .routes(handlers!(show))
        .routes(handlers!(put))
        .routes(handlers!(count))
        .routes(handlers!(merge))
}

#[derive(Serialize, ToSchema)]
struct Cart {
    items: Vec<Item>,
    /// In cents.
    total: i64,
    #[schema(example = "EUR")]
    currency: &'static str,
}

#[derive(Serialize, ToSchema)]
struct Item {
    product: Product,
    quantity: i64,
    /// In cents.
    line_total: i64,
}

impl Cart {
    /// Lines whose product is not sold any more are left out.
    fn new(lines: &[CartLine], products: &[Product]) -> Self {
        let item = |line: &CartLine| {
            let product = products.iter().find(|product| product.id == line.product_id)?.clone();
            let line_total = product.price.saturating_mul(line.quantity);
            Some(Item { product, quantity: line.quantity, line_total })
        };
        let items: Vec<Item> = lines.iter().filter_map(item).collect();
        let total = items.iter().fold(0, |sum: i64, item| sum.saturating_add(item.line_total));
        Self { items, total, currency: "EUR" }
    }
}

/// The cart of the customer, or of the visit in which nobody has signed in.
#[utoipa::path(get, path = "/cart", responses((status = 200, body = Cart)))]
async fn show(State(shop): State<Shop>, identity: Internal) -> Result<Json<Cart>, ApiError> {
    let lines = cart::lines(&shop.store, &Owner::of(&identity)?).await?;
    let ids: Vec<&str> = lines.iter().map(|line| line.product_id.as_str()).collect();
    let products = shelf::products(&shop.inventory, &ids).await?;
    Ok(Json(Cart::new(&lines, &products)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Quantity {
    /// 0 takes it out.
    #[schema(minimum = 0, maximum = 99)]
    quantity: i64,
}

/// Sets how many of a product are in the cart; the whole cart as it is then.
#[utoipa::path(
    put,
    path = "/cart/items/{product}",
    params(("product" = String, Path, description = "The product's id.")),
    request_body = Quantity,
    responses((status = 200, body = Cart)),
)]
async fn put(
    State(shop): State<Shop>,
    identity: Internal,
    Path(product): Path<String>,
    Json(Quantity { quantity }): Json<Quantity>,
) -> Result<Json<Cart>, ApiError> {
    let owner = Owner::of(&identity)?;
    if !(0..=MOST_OF_ONE).contains(&quantity) {
        return Err(ApiError::unprocessable(format!("quantity must be 0 to {MOST_OF_ONE}")));
    }
    let no_product = || ApiError::not_found("there is no such product");
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !(1..=LONGEST_ID).contains(&product.len()) || !product.bytes().all(allowed) {
        return Err(no_product());
    }
    let lines = cart::lines(&shop.store, &owner).await?;
    let had = lines.iter().find(|line| line.product_id == product).map_or(0, |line| line.quantity);
    let mut ids: Vec<&str> = lines.iter().map(|line| line.product_id.as_str()).collect();
    if had == 0 {
        ids.push(&product);
    }
    let products = shelf::products(&shop.inventory, &ids).await?;
    if quantity > 0 {
        let found = products.iter().find(|found| found.id == product).ok_or_else(no_product)?;
        // Fewer than before is always better.
        if quantity > had && quantity > found.available {
            return Err(found.short());
        }
    }
    cart::put(&shop.store, &owner, &product, quantity, now_ms()).await?;
    let lines = cart::lines(&shop.store, &owner).await?;
    Ok(Json(Cart::new(&lines, &products)))
}

#[derive(Serialize, ToSchema)]
struct Count {
    /// Pieces in the cart.
    items: i64,
}

/// How many pieces are in the cart.
#[utoipa::path(get, path = "/cart/count", responses((status = 200, body = Count)))]
async fn count(State(shop): State<Shop>, identity: Internal) -> Result<Json<Count>, ApiError> {
    let items = cart::count(&shop.store, &Owner::of(&identity)?).await?;
    Ok(Json(Count { items }))
}

/// Moves the visit's cart into the customer's; the identity names both. Doing it again does nothing.
#[utoipa::path(post, path = "/cart/merge", responses((status = 200, body = Count)))]
async fn merge(State(shop): State<Shop>, identity: Internal) -> Result<Json<Count>, ApiError> {
    let (visit, customer) = Owner::both(&identity)?;
    cart::merge(&shop.store, &visit, &customer, now_ms()).await?;
    Ok(Json(Count { items: cart::count(&shop.store, &customer).await? }))
}
