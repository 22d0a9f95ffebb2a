//! Accounts.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Deserializer};
use services_kit::store::now_ms;
use services_kit::{ApiError, Customer, Json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{CustomerView, Opened, SignedIn, Users, gone};
use crate::accounts::{Account, Change};
use crate::input::{self, Address};
use crate::sessions::Token;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Registration {
    #[schema(format = Email, max_length = 254)]
    email: String,
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    #[schema(min_length = 10, max_length = 200)]
    password: String,
}

/// Opens an account, signed in.
#[utoipa::path(
    post,
    path = "/customers",
    request_body = Registration,
    responses((status = 201, body = SignedIn), (status = 409, description = "email_taken")),
)]
pub(super) async fn register(
    State(users): State<Users>,
    Json(new): Json<Registration>,
) -> Result<(StatusCode, Json<SignedIn>), ApiError> {
    let email = input::email(&new.email)?;
    let name = input::name(&new.name)?;
    input::new_password(&new.password, &email)?;
    // Asked before a hash is spent on it; the store decides in the end.
    if users.accounts.with_email(&email).await?.is_some() {
        let message = "there is an account with this email address";
        return Err(ApiError::conflict(message).code("email_taken"));
    }
    let password = users.passwords.hash(new.password).await?;
    let account = Account { id: Uuid::now_v7(), email, name, address: None, password };
    let token = Token::draw()?;
    let expires = users.accounts.open(&account, &token.hash(), now_ms()).await?;
    let session = Opened::new(token, expires);
    Ok((StatusCode::CREATED, Json(SignedIn { customer: account.into(), session })))
}

/// The customer's own account.
#[utoipa::path(get, path = "/customers/me", responses((status = 200, body = CustomerView)))]
pub(super) async fn profile(
    State(users): State<Users>,
    Customer { id }: Customer,
) -> Result<Json<CustomerView>, ApiError> {
    let account = users.accounts.with_id(&id.to_string()).await?.ok_or_else(gone)?;
    Ok(Json(account.into()))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProfileChange {
    /// Stays if it is not there.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, min_length = 1, max_length = 100)]
    name: Option<String>,
    /// Stays if it is not there; is forgotten if it is null.
    #[serde(default, deserialize_with = "present")]
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
    path = "/customers/me",
    request_body = ProfileChange,
    responses((status = 200, body = CustomerView)),
)]
pub(super) async fn change(
    State(users): State<Users>,
    Customer { id }: Customer,
    Json(asked): Json<ProfileChange>,
) -> Result<Json<CustomerView>, ApiError> {
    let name = asked.name.as_deref().map(input::name).transpose()?;
    let checked = |address: Option<Address>| address.as_ref().map(Address::checked).transpose();
    let address = asked.address.map(checked).transpose()?;
    let id = id.to_string();
    users.accounts.change(&id, &Change { name, address }).await?;
    let account = users.accounts.with_id(&id).await?.ok_or_else(gone)?;
    Ok(Json(account.into()))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordChange {
    #[schema(max_length = 200)]
    old: String,
    #[schema(min_length = 10, max_length = 200)]
    new: String,
}

/// Another password. All sessions end, and a new one begins.
#[utoipa::path(
    post,
    path = "/customers/me/password",
    request_body = PasswordChange,
    responses(
        (status = 200, body = SignedIn),
        (status = 422, description = "wrong_password, weak_password"),
        (status = 429, description = "too_many_tries"),
    ),
)]
pub(super) async fn password(
    State(users): State<Users>,
    Customer { id }: Customer,
    Json(PasswordChange { old, new }): Json<PasswordChange>,
) -> Result<Json<SignedIn>, ApiError> {
    let wrong = || ApiError::unprocessable("this is not the password").code("wrong_password");
    let id = id.to_string();
    let account = users.accounts.with_id(&id).await?.ok_or_else(gone)?;
    input::new_password(&new, &account.email)?;
    let tried = users.tries.begin(&account.email).await?;
    if !input::could_be_password(&old)
        || !users.passwords.verify(old, Some(&account.password)).await?
    {
        return Err(wrong());
    }
    tried.succeeded().await;
    let password = users.passwords.hash(new).await?;
    let token = Token::draw()?;
    let changed =
        users.accounts.change_password(&account, &password, &token.hash(), now_ms()).await?;
    let session = Opened::new(token, changed.ok_or_else(wrong)?);
    Ok(Json(SignedIn { customer: account.into(), session }))
}
