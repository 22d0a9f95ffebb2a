//! The public routes: orders here, carts in [`carts`].

mod carts;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use services_kit::openapi::{Api, routes as handlers};
use services_kit::store::{Database, now_ms};
use services_kit::{ApiError, Customer, Json, Kit, Path, Query};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::address::Address;
use crate::checkout::{Checkout, Key, Request};
use crate::order::{self, Happening, Line, Order, Payment, Step};
use crate::progress::{Progress, happens};
use crate::store;

/// The most orders that one answer lists.
const MAX_LIMIT: i64 = 50;

/// What an answer lists unless it is told otherwise.
const DEFAULT_LIMIT: i64 = 20;

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Shop {
    store: Database,
    checkout: Checkout,
    progress: Progress,
    inventory: services_kit::client::Client,
}

impl Shop {
    pub(crate) fn new(kit: &Kit, store: Database, progress: Progress) -> Self {
        let checkout = Checkout::new(kit, store.clone());
        let inventory = kit.client(services_kit::Peer::Inventory);
        Self { store, checkout, progress, inventory }
    }
}

pub(crate) fn routes(shop: Shop) -> Api {
    carts::routes()
        .routes(handlers!(list, place))
        .routes(handlers!(one))
        .routes(handlers!(cancel))
        .with_state(shop)
}

/// An order as its customer sees it.
#[derive(Serialize, ToSchema)]
#[schema(as = Order)]
pub(crate) struct Shown {
    id: Uuid,
    /// What people call it.
    #[schema(example = "7K3F9-QX2MA")]
    number: String,
    state: order::State,
    /// Why it was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The states it went through; the first is `placed`.
    history: Vec<ShownStep>,
    items: Vec<ShownLine>,
    /// In cents.
    total: i64,
    #[schema(example = "EUR")]
    currency: String,
    payment: ShownPayment,
    address: Address,
}

#[derive(Serialize, ToSchema)]
struct ShownStep {
    state: order::State,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

#[derive(Serialize, ToSchema)]
struct ShownLine {
    product: Ordered,
    quantity: u32,
    /// In cents.
    line_total: i64,
}

/// A product as it was when it was ordered.
#[derive(Serialize, ToSchema)]
struct Ordered {
    id: String,
    name: String,
    picture: String,
    /// Of one, in cents.
    price: i64,
}

#[derive(Serialize, ToSchema)]
struct ShownPayment {
    /// The last four digits of the card.
    last4: String,
    state: Payment,
}

/// What is answered to who places or cancels an order.
#[derive(Serialize, ToSchema)]
struct Accepted {
    order: Shown,
}

impl Shown {
    pub(crate) fn new(order: Order) -> Self {
        let step = |step: Step| ShownStep { state: step.state, at: order::moment(step.at) };
        let line = |line: Line| ShownLine {
            line_total: line.total(),
            quantity: line.quantity,
            product: Ordered {
                id: line.product_id,
                name: line.name,
                picture: line.picture,
                price: line.price,
            },
        };
        Self {
            id: order.id,
            number: order.number,
            state: order.state,
            reason: order.reason,
            history: order.history.into_iter().map(step).collect(),
            items: order.lines.into_iter().map(line).collect(),
            total: order.total,
            currency: order.currency,
            payment: ShownPayment { last4: order.last4, state: order.payment },
            address: order.address,
        }
    }

    /// The body of an answer that it is accepted.
    pub(crate) fn envelope(self) -> Result<String, ApiError> {
        serde_json::to_string(&Accepted { order: self }).map_err(ApiError::internal)
    }
}

fn no_order() -> ApiError {
    ApiError::not_found("there is no such order")
}

/// Makes an order of the customer's cart, once for each key: the same request gets the same answer again.
#[utoipa::path(
    post,
    path = "/orders",
    params((
        "Idempotency-Key" = String, Header, pattern = "^[A-Za-z0-9_-]{1,64}$",
        description = "Made up for each order.", example = "0f8e4c5a",
    )),
    request_body = Request,
    responses((status = 202, body = Accepted)),
)]
async fn place(
    State(shop): State<Shop>,
    customer: Customer,
    headers: HeaderMap,
    Json(request): Json<Request>,
) -> Result<Response, ApiError> {
    let key = headers.get("idempotency-key").map(|key| key.to_str().unwrap_or_default());
    let outcome = shop.checkout.check_out(customer.id, &Key::new(key)?, request).await?;
    if outcome.new {
        shop.progress.placed();
    }
    let json = [(header::CONTENT_TYPE, "application/json")];
    Ok((StatusCode::ACCEPTED, json, outcome.text).into_response())
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Page {
    /// `next` of the page before.
    cursor: Option<Uuid>,
    /// How many to list at most.
    #[serde(default = "Page::default_limit")]
    #[param(minimum = 1, maximum = 50, default = 20)]
    limit: i64,
}

impl Page {
    fn default_limit() -> i64 {
        DEFAULT_LIMIT
    }
}

#[derive(Serialize, ToSchema)]
struct Orders {
    items: Vec<Shown>,
    /// The cursor of the next page, if there is one.
    next: Option<Uuid>,
}

/// The customer's orders, the newest first.
#[utoipa::path(get, path = "/orders", params(Page), responses((status = 200, body = Orders)))]
async fn list(
    State(shop): State<Shop>,
    customer: Customer,
    Query(page): Query<Page>,
) -> Result<Json<Orders>, ApiError> {
    if !(1..=MAX_LIMIT).contains(&page.limit) {
        return Err(ApiError::unprocessable(format!(
            "limit is {}, it must be 1 to {MAX_LIMIT}",
            page.limit
        )));
    }
    let before = page.cursor.unwrap_or(Uuid::max());
    let mut orders = store::list(&shop.store, customer.id, before, page.limit + 1).await?;
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let more = orders.len() > limit;
    orders.truncate(limit);
    let next = orders.last().filter(|_| more).map(|order| order.id);
    Ok(Json(Orders { items: orders.into_iter().map(Shown::new).collect(), next }))
}

/// One of the customer's orders.
#[utoipa::path(
    get,
    path = "/orders/{id}",
    params(("id" = Uuid, Path, description = "The order.")),
    responses((status = 200, body = Shown)),
)]
async fn one(
    State(shop): State<Shop>,
    customer: Customer,
    Path(id): Path<Uuid>,
) -> Result<Json<Shown>, ApiError> {
    let order = store::one(&shop.store, customer.id, id).await?;
    order.map(|order| Json(Shown::new(order))).ok_or_else(no_order)
}

/// Cancels an order that is not done. What was paid is given back.
#[utoipa::path(
    post,
    path = "/orders/{id}/cancel",
    params(("id" = Uuid, Path, description = "The order.")),
    responses((status = 202, body = Accepted)),
)]
async fn cancel(
    State(shop): State<Shop>,
    customer: Customer,
    Path(id): Path<Uuid>,
) -> Result<(StatusCode, Json<Accepted>), ApiError> {
    let moved = shop
        .store
        .transaction(|mut tx| async move {
            let moved = happens(&mut tx, id, Happening::Cancelled, now_ms()).await?;
            match moved {
                Some(moved) if moved.order.customer.id == customer.id => Ok(tx.done(moved)),
                // Undoes the cancellation of another's order.
                _ => Err(no_order()),
            }
        })
        .await?;
    if moved.order.state != order::State::Cancelled {
        let message = "This order is done and cannot be cancelled any more.";
        return Err(ApiError::conflict(message).code("too_late"));
    }
    shop.progress.count(&moved);
    Ok((StatusCode::ACCEPTED, Json(Accepted { order: Shown::new(moved.order) })))
}
