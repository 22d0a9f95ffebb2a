//! The routes. What is sent here is never repeated in an answer: it may be a card.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use jiff::{Timestamp, Zoned};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use services_kit::openapi::{Api, routes as handlers};
use services_kit::store::{Database, StoreError};
use services_kit::{ApiError, Customer, Json, Path};
use sqlx::Row as _;
use sqlx::any::AnyRow;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::card::{Card, CardError};
use crate::provider::{Provider, Unaccepted};
use crate::token::{self, Kept};

/// What the handlers share.
#[derive(Clone)]
struct Shop {
    store: Database,
    provider: Arc<dyn Provider>,
}

pub(crate) fn routes(store: Database, provider: Arc<dyn Provider>) -> Api {
    Api::new()
        .routes(handlers!(keep))
        .routes(handlers!(payment))
        .with_state(Shop { store, provider })
}

impl From<CardError> for ApiError {
    fn from(error: CardError) -> Self {
        Self::unprocessable(error.to_string()).code(error.code())
    }
}

impl From<Unaccepted> for ApiError {
    fn from(error: Unaccepted) -> Self {
        Self::unprocessable(error.to_string()).code("card_invalid")
    }
}

/// A card.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewCard {
    /// 12 to 19 digits; spaces and hyphens between them are passed over.
    #[schema(value_type = String, format = Password, example = "4242424242424242")]
    card_number: SecretString,
    /// `MM/YY` or `MM/YYYY`.
    #[schema(example = "12/29")]
    expiry: String,
    /// 3 or 4 digits.
    #[schema(value_type = String, format = Password, example = "123")]
    cvc: SecretString,
    /// The name on it.
    #[schema(min_length = 1, max_length = 100, example = "Ada Lovelace")]
    holder: String,
}

/// What stands for a card.
#[derive(Serialize, ToSchema)]
struct Token {
    /// Pays one order of this customer within a day.
    token: String,
    /// The card's last four digits.
    last4: String,
}

/// Keeps a card for one order.
#[utoipa::path(
    post,
    path = "/tokens",
    request_body = NewCard,
    responses((status = 201, body = Token), (status = 422, description = "The card is not right.")),
)]
async fn keep(
    State(shop): State<Shop>,
    customer: Customer,
    card: Result<Json<NewCard>, ApiError>,
) -> Result<(StatusCode, Json<Token>), ApiError> {
    // The parser's own words may repeat a number that was sent where it does not belong.
    let Json(new) = card.map_err(|error| {
        ApiError::new(error.status(), "the body is JSON with card_number, expiry, cvc and holder")
    })?;
    let today = Zoned::now().date();
    let card = Card::check(&new.card_number, &new.expiry, &new.cvc, &new.holder, today)?;
    let kept =
        Kept { provider_token: shop.provider.keep(&card).await?, last4: card.last4().to_owned() };
    let token = token::keep(&shop.store, customer.id, &kept).await?;
    Ok((StatusCode::CREATED, Json(Token { token, last4: kept.last4 })))
}

/// The payment of an order.
#[derive(Serialize, ToSchema)]
struct Payment {
    order_id: Uuid,
    payment_id: Uuid,
    /// `pending`, `succeeded`, `failed`, `refunding`, `refunded`, or `void` when nothing was ever charged. With a
    /// `reason`, `refunding` has failed already and makes sure that nothing stays charged.
    state: String,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// In cents.
    amount: i64,
    /// ISO 4217.
    #[schema(example = "EUR")]
    currency: String,
    /// The card's last four digits; empty without a card.
    last4: String,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When its state last changed.
    #[schema(value_type = String, format = DateTime)]
    changed_at: Timestamp,
}

impl Payment {
    fn read(order_id: Uuid, row: &AnyRow) -> Result<Self, sqlx::Error> {
        let decode = |error: Box<dyn std::error::Error + Send + Sync>| sqlx::Error::Decode(error);
        let time = |column| {
            let time: i64 = row.try_get(column)?;
            Timestamp::from_millisecond(time).map_err(|error| decode(error.into()))
        };
        let payment_id: String = row.try_get("payment_id")?;
        Ok(Self {
            order_id,
            payment_id: payment_id.parse().map_err(|error: uuid::Error| decode(error.into()))?,
            state: row.try_get("state")?,
            reason: row.try_get("reason")?,
            amount: row.try_get("amount")?,
            currency: row.try_get("currency")?,
            last4: row.try_get("last4")?,
            created_at: time("created_at")?,
            changed_at: time("changed_at")?,
        })
    }
}

/// The payment of one of the customer's orders.
#[utoipa::path(
    get,
    path = "/payments/{order_id}",
    params(("order_id" = Uuid, Path, description = "The order.")),
    responses((status = 200, body = Payment), (status = 404, description = "None of this customer.")),
)]
async fn payment(
    State(shop): State<Shop>,
    customer: Customer,
    Path(order_id): Path<Uuid>,
) -> Result<Json<Payment>, ApiError> {
    let row = sqlx::query(
        "SELECT payment_id, state, reason, amount, currency, last4, created_at, changed_at
         FROM payments WHERE order_id = $1 AND customer_id = $2",
    )
    .bind(order_id.to_string())
    .bind(customer.id.to_string())
    .fetch_optional(shop.store.pool())
    .await?;
    let row = row.ok_or_else(|| ApiError::not_found("there is no payment for such an order"))?;
    Ok(Json(Payment::read(order_id, &row).map_err(StoreError::from)?))
}
