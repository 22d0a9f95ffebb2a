//! The routes.

use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use services_kit::openapi::{Api, routes as handlers};
use services_kit::store::Database;
use services_kit::{ApiError, Customer, Json, Path, Query};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::mailbox;

/// The most that one answer lists.
const MAX_LIMIT: i64 = 100;

/// What an answer lists unless it is told otherwise.
const DEFAULT_LIMIT: i64 = 50;

pub(crate) fn routes(store: Database) -> Api {
    Api::new().routes(handlers!(mailbox)).routes(handlers!(read)).with_state(store)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Page {
    /// `next` of the page before.
    cursor: Option<Uuid>,
    /// How many to list at most.
    #[serde(default = "Page::default_limit")]
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: i64,
}

impl Page {
    fn default_limit() -> i64 {
        DEFAULT_LIMIT
    }
}

/// A message.
#[derive(Serialize, ToSchema)]
struct Mail {
    id: Uuid,
    subject: String,
    body_text: String,
    /// When it was written.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The order it is about.
    order_id: Uuid,
    read: bool,
}

/// A page of a mailbox.
#[derive(Serialize, ToSchema)]
struct Mails {
    items: Vec<Mail>,
    /// The `cursor` of the next page; none at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Uuid>,
}

/// The customer's messages, newest first.
#[utoipa::path(get, path = "/mailbox", params(Page), responses((status = 200, body = Mails)))]
async fn mailbox(
    State(store): State<Database>,
    customer: Customer,
    Query(page): Query<Page>,
) -> Result<Json<Mails>, ApiError> {
    let limit = page.limit;
    if !(1..=MAX_LIMIT).contains(&limit) {
        let message = format!("limit is {limit}, it must be 1 to {MAX_LIMIT}");
        return Err(ApiError::unprocessable(message));
    }
    // One more shows whether there is a next page.
    let mut messages = mailbox::list(&store, customer.id, page.cursor, limit + 1).await?;
    let more = messages.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    if more {
        messages.pop();
    }
    let next = if more { messages.last().map(|last| last.id) } else { None };
    let items = messages.into_iter().map(|message| Mail {
        id: message.id,
        subject: message.subject,
        body_text: message.body,
        at: Timestamp::from_millisecond(message.at).unwrap_or_default(),
        order_id: message.order,
        read: message.read,
    });
    Ok(Json(Mails { items: items.collect(), next }))
}

/// Marks one of the customer's messages as read.
#[utoipa::path(
    post,
    path = "/mailbox/{id}/read",
    params(("id" = Uuid, Path, description = "The message.")),
    responses((status = 204, description = "It is read."), (status = 404, description = "None of this customer.")),
)]
async fn read(
    State(store): State<Database>,
    customer: Customer,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, ApiError> {
    if mailbox::mark_read(&store, customer.id, id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::not_found("there is no such message"))
    }
}
