//! The mails that the shop has sent to a customer.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use services_kit::{ApiError, Json, Path, Peer, Query};
use utoipa::IntoParams;
use uuid::Uuid;

use super::with_query;
use crate::shapes::Mailbox;
use crate::visitor::Signed;
use crate::{Shop, upstream};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    /// `next` of the page before.
    cursor: Option<Uuid>,
    /// How many to list at most.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// The customer's mails, the newest first.
#[utoipa::path(
    get,
    path = "/api/mailbox",
    params(Page),
    responses((status = 200, body = Mailbox), (status = 401, description = "Not signed in.")),
)]
pub(super) async fn mailbox(
    State(shop): State<Shop>,
    signed: Signed,
    Query(page): Query<Page>,
) -> Result<Json<Mailbox>, ApiError> {
    let (cursor, limit) = (page.cursor.map(|id| id.to_string()), page.limit.map(|n| n.to_string()));
    let pairs = [("cursor", cursor.as_deref()), ("limit", limit.as_deref())];
    let call = shop.client(Peer::Notifications).get(&with_query("/mailbox", &pairs));
    upstream::read(call.for_customer(signed.id())).await.map(Json)
}

/// Marks a mail as read.
#[utoipa::path(
    post,
    path = "/api/mailbox/{id}/read",
    params(
        ("id" = Uuid, Path, description = "The mail."),
        ("X-CSRF-Token" = String, Header, description = "Of the session."),
    ),
    responses(
        (status = 204),
        (status = 401, description = "Not signed in."),
        (status = 404, description = "No such mail of this customer."),
    ),
)]
pub(super) async fn read(
    State(shop): State<Shop>,
    signed: Signed,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, ApiError> {
    let call = shop.client(Peer::Notifications).post(&format!("/mailbox/{id}/read")).idempotent();
    upstream::answered(call.for_customer(signed.id())).await?;
    Ok(StatusCode::NO_CONTENT)
}
