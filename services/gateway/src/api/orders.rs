//! Orders. Card data goes to the payments service and nowhere else; an order knows a token of it.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use serde::{Deserialize, Serialize};
use services_kit::{ApiError, Json, Path, Peer, Query};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::with_query;
use crate::shapes::{Address, Order, Orders, Taken};
use crate::visitor::Signed;
use crate::{Shop, upstream};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// How long it may take to turn a card into a token: the order itself needs time as well.
const TOKEN_DEADLINE: Duration = Duration::from_secs(3);

/// A card. It has no Debug: it must not reach a log.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Card {
    /// 12 to 19 digits; spaces and hyphens between them are passed over.
    #[schema(format = Password, max_length = 40, example = "4242424242424242")]
    card_number: String,
    /// `MM/YY`.
    #[schema(max_length = 10, example = "12/29")]
    expiry: String,
    /// 3 or 4 digits.
    #[schema(format = Password, max_length = 4, example = "123")]
    cvc: String,
    /// The name on it.
    #[schema(min_length = 1, max_length = 100)]
    holder: String,
}

/// What the cart is to be ordered with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Checkout {
    payment: Card,
    address: Address,
}

/// What stands for a card.
#[derive(Serialize, Deserialize)]
struct CardToken {
    token: String,
    last4: String,
}

#[derive(Serialize)]
struct Placement<'a> {
    payment: CardToken,
    address: &'a Address,
}

/// Orders what is in the cart. The same key with the same body gives the same answer, however often it is sent.
#[utoipa::path(
    post,
    path = "/api/orders",
    params(
        (
            "Idempotency-Key" = String, Header, pattern = "^[A-Za-z0-9_-]{1,64}$",
            description = "Made up for each order.", example = "0f8e4c5a",
        ),
        ("X-CSRF-Token" = String, Header, description = "Of the session."),
    ),
    request_body = Checkout,
    responses(
        (status = 202, body = Taken),
        (status = 401, description = "Not signed in."),
        (status = 409, description = "out_of_stock, cart_changed"),
        (status = 422, description = "card_number_invalid, card_expired, expiry_invalid, cvc_invalid, \
                                      cart_empty, idempotency_key_reused"),
    ),
)]
pub(super) async fn place(
    State(shop): State<Shop>,
    signed: Signed,
    headers: HeaderMap,
    checkout: Result<Json<Checkout>, ApiError>,
) -> Result<(StatusCode, Json<Taken>), ApiError> {
    let key = headers.get(IDEMPOTENCY_KEY).ok_or_else(|| {
        ApiError::bad_request("the header Idempotency-Key is needed")
            .code("idempotency_key_missing")
    })?;
    // The parser's own words may repeat a number that was sent where it does not belong.
    let Json(Checkout { payment: card, address }) = checkout.map_err(|error| {
        ApiError::new(error.status(), "the body is JSON with payment and address, whole")
    })?;
    let tokens = shop.client(Peer::Payments).post("/tokens").for_customer(signed.id());
    // A token that nobody uses ends by itself.
    let tokens = tokens.json(&card).idempotent().deadline(TOKEN_DEADLINE);
    let payment: CardToken = upstream::read(tokens).await?;
    let order = shop.client(Peer::Orders).post("/orders").for_customer(signed.id());
    let order = order.header(IDEMPOTENCY_KEY, key.clone()).idempotent();
    let taken = upstream::read(order.json(&Placement { payment, address: &address })).await?;
    Ok((StatusCode::ACCEPTED, Json(taken)))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    /// `next` of the page before.
    cursor: Option<Uuid>,
    /// How many to list at most.
    #[param(minimum = 1, maximum = 50)]
    limit: Option<u32>,
}

/// The customer's orders, the newest first.
#[utoipa::path(
    get,
    path = "/api/orders",
    params(Page),
    responses((status = 200, body = Orders), (status = 401, description = "Not signed in.")),
)]
pub(super) async fn list(
    State(shop): State<Shop>,
    signed: Signed,
    Query(page): Query<Page>,
) -> Result<Json<Orders>, ApiError> {
    let (cursor, limit) = (page.cursor.map(|id| id.to_string()), page.limit.map(|n| n.to_string()));
    let pairs = [("cursor", cursor.as_deref()), ("limit", limit.as_deref())];
    let call = shop.client(Peer::Orders).get(&with_query("/orders", &pairs));
    upstream::read(call.for_customer(signed.id())).await.map(Json)
}

/// One of the customer's orders.
#[utoipa::path(
    get,
    path = "/api/orders/{id}",
    params(("id" = Uuid, Path, description = "The order.")),
    responses(
        (status = 200, body = Order),
        (status = 401, description = "Not signed in."),
        (status = 404, description = "No such order of this customer."),
    ),
)]
pub(super) async fn one(
    State(shop): State<Shop>,
    signed: Signed,
    Path(id): Path<Uuid>,
) -> Result<Json<Order>, ApiError> {
    let call = shop.client(Peer::Orders).get(&format!("/orders/{id}"));
    upstream::read(call.for_customer(signed.id())).await.map(Json)
}

/// Cancels an order. What was paid is paid back.
#[utoipa::path(
    post,
    path = "/api/orders/{id}/cancel",
    params(
        ("id" = Uuid, Path, description = "The order."),
        ("X-CSRF-Token" = String, Header, description = "Of the session."),
    ),
    responses(
        (status = 202, body = Taken),
        (status = 401, description = "Not signed in."),
        (status = 404, description = "No such order of this customer."),
        (status = 409, description = "too_late"),
    ),
)]
pub(super) async fn cancel(
    State(shop): State<Shop>,
    signed: Signed,
    Path(id): Path<Uuid>,
) -> Result<(StatusCode, Json<Taken>), ApiError> {
    // To cancel twice is to cancel.
    let call = shop.client(Peer::Orders).post(&format!("/orders/{id}/cancel")).idempotent();
    let taken = upstream::read(call.for_customer(signed.id())).await?;
    Ok((StatusCode::ACCEPTED, Json(taken)))
}
