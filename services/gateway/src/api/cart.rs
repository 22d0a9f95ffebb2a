//! The cart, of a guest or a customer.

use axum::extract::State;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use services_kit::{ApiError, Json, Path, Peer};
use utoipa::ToSchema;

use super::segment;
use super::session::{WithCookie, catch_up, with};
use crate::guard::Https;
use crate::shapes::Cart;
use crate::token::Token;
use crate::visitor::Visitor;
use crate::{Shop, upstream};

/// What is in the visitor's cart.
#[utoipa::path(get, path = "/api/cart", responses((status = 200, body = Cart)))]
pub(super) async fn cart(
    State(shop): State<Shop>,
    visitor: Visitor,
    Https(https): Https,
    asked: HeaderMap,
) -> Result<WithCookie<Cart>, ApiError> {
    let left = Token::left_behind(&asked);
    let went_along = catch_up(&shop, &visitor, left.as_ref(), https).await?;
    let cart = match visitor.signs(shop.client(Peer::Orders).get("/cart")) {
        Some(call) => upstream::read(call).await?,
        None => Cart::empty(),
    };
    Ok((with(HeaderMap::new(), went_along), Json(cart)))
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// 0 takes it out.
    #[schema(minimum = 0, maximum = 99)]
    quantity: u32,
}

/// Sets how many of a product are in the cart.
#[utoipa::path(
    put,
    path = "/api/cart/items/{product_id}",
    params(
        ("product_id" = String, Path, description = "The product."),
        ("X-CSRF-Token" = String, Header, description = "Of the session."),
    ),
    request_body = Wanted,
    responses(
        (status = 200, body = Cart),
        (status = 404, description = "No such product."),
        (status = 409, description = "out_of_stock, cart_full"),
    ),
)]
pub(super) async fn put(
    State(shop): State<Shop>,
    visitor: Visitor,
    Path(id): Path<String>,
    Json(wanted): Json<Wanted>,
) -> Result<Json<Cart>, ApiError> {
    let path = format!("/cart/items/{}", segment(&id)?);
    let call = visitor.signs(shop.client(Peer::Orders).put(&path));
    let call = call.ok_or_else(|| ApiError::unauthorized("the session is over; begin another"))?;
    upstream::read(call.json(&wanted)).await.map(Json)
}
