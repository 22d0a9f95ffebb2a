//! What customers say of themselves, and their password.

use axum::extract::State;
use axum::http::Method;
use serde::{Deserialize, Deserializer, Serialize};
use services_kit::{ApiError, Json, Peer};
use utoipa::ToSchema;

use super::session::{Welcome, WithCookie, welcomed};
use crate::guard::{Https, Try};
use crate::shapes::{Address, Profile};
use crate::visitor::Signed;
use crate::{Shop, upstream};

/// The customer's own account.
#[utoipa::path(
    get,
    path = "/api/profile",
    responses((status = 200, body = Profile), (status = 401, description = "Not signed in.")),
)]
pub(super) async fn profile(
    State(shop): State<Shop>,
    signed: Signed,
) -> Result<Json<Profile>, ApiError> {
    let call = shop.client(Peer::Users).get("/customers/me").for_customer(signed.id());
    upstream::read(call).await.map(Json)
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProfileChange {
    /// Stays if it is not there.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, min_length = 1, max_length = 100)]
    name: Option<String>,
    /// Stays if it is not there; is forgotten if it is null.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Address>)]
    address: Option<Option<Address>>,
}

/// Takes null for a value like any other, and not for what is not there.
fn present<'de, T, D>(from: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(from).map(Some)
}

/// Changes name or address.
#[utoipa::path(
    patch,
    path = "/api/profile",
    params(("X-CSRF-Token" = String, Header, description = "Of the session.")),
    request_body = ProfileChange,
    responses(
        (status = 200, body = Profile),
        (status = 401, description = "Not signed in."),
        (status = 422, description = "invalid_name, invalid_address"),
    ),
)]
pub(super) async fn change(
    State(shop): State<Shop>,
    signed: Signed,
    Json(change): Json<ProfileChange>,
) -> Result<Json<Profile>, ApiError> {
    // To set the same twice does no harm.
    let call = shop.client(Peer::Users).call(Method::PATCH, "/customers/me").idempotent();
    upstream::read(call.for_customer(signed.id()).json(&change)).await.map(Json)
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordChange {
    #[schema(max_length = 200)]
    old: String,
    #[schema(min_length = 10, max_length = 200)]
    new: String,
}

/// Another password. All other sessions of the customer end.
#[utoipa::path(
    post,
    path = "/api/password",
    params(("X-CSRF-Token" = String, Header, description = "Of the session.")),
    request_body = PasswordChange,
    responses(
        (status = 200, body = Welcome),
        (status = 401, description = "Not signed in."),
        (status = 422, description = "wrong_password, weak_password"),
        (status = 429, description = "Too many tries."),
    ),
)]
pub(super) async fn password(
    State(shop): State<Shop>,
    _: Try,
    Https(https): Https,
    signed: Signed,
    Json(change): Json<PasswordChange>,
) -> Result<WithCookie<Welcome>, ApiError> {
    let call = shop.client(Peer::Users).post("/customers/me/password");
    welcomed(call.for_customer(signed.id()).json(&change), https).await
}
