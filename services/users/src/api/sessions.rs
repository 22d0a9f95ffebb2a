//! Signing in, and what follows from it.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use services_kit::store::now_ms;
use services_kit::{ApiError, Json, Path};
use utoipa::ToSchema;

use super::{CustomerView, Opened, SignedIn, Users};
use crate::input;
use crate::sessions::Token;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Credentials {
    #[schema(max_length = 254)]
    email: String,
    #[schema(max_length = 200)]
    password: String,
}

/// Signs in. It takes as long, and answers the same, whether the address is known or not.
#[utoipa::path(
    post,
    path = "/sign-in",
    request_body = Credentials,
    responses(
        (status = 200, body = SignedIn),
        (status = 401, description = "wrong_credentials"),
        (status = 429, description = "too_many_tries"),
    ),
)]
pub(super) async fn sign_in(
    State(users): State<Users>,
    Json(Credentials { email, password }): Json<Credentials>,
) -> Result<Json<SignedIn>, ApiError> {
    let wrong =
        || ApiError::unauthorized("email address or password is wrong").code("wrong_credentials");
    let Ok(email) = input::email(&email) else { return Err(wrong()) };
    if !input::could_be_password(&password) {
        return Err(wrong());
    }
    let tried = users.tries.begin(&email).await?;
    let account = users.accounts.with_email(&email).await?;
    let known = account.as_ref().map(|account| account.password.as_str());
    let right = users.passwords.verify(password, known).await?;
    let Some(account) = account.filter(|_| right) else { return Err(wrong()) };
    tried.succeeded().await;
    let token = Token::draw()?;
    let id = account.id.to_string();
    let opened = users.sessions.open(&id, &account.password, &token.hash(), now_ms()).await?;
    let session = Opened::new(token, opened.ok_or_else(wrong)?);
    Ok(Json(SignedIn { customer: account.into(), session }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Renewal {
    /// SHA-256 of the older session's token, in hexadecimal.
    #[schema(min_length = 64, max_length = 64)]
    hash: String,
}

/// A session in place of an older one, which holds for a minute more. Each can be renewed once.
#[utoipa::path(
    post,
    path = "/sessions",
    request_body = Renewal,
    responses((status = 201, body = SignedIn), (status = 404, description = "no session to renew")),
)]
pub(super) async fn renew(
    State(users): State<Users>,
    Json(Renewal { hash }): Json<Renewal>,
) -> Result<(StatusCode, Json<SignedIn>), ApiError> {
    let token = Token::draw()?;
    let renewed = users.sessions.renew(checked(&hash)?, &token.hash(), now_ms()).await?;
    let (session, expires) = renewed.ok_or_else(none)?;
    let account = users.accounts.with_id(&session.customer).await?.ok_or_else(none)?;
    let session = Opened::new(token, expires);
    Ok((StatusCode::CREATED, Json(SignedIn { customer: account.into(), session })))
}

#[derive(Serialize, ToSchema)]
pub(super) struct SessionView {
    customer: CustomerView,
    /// Whether it should be renewed.
    stale: bool,
}

/// Whose session it is.
#[utoipa::path(
    get,
    path = "/sessions/{hash}",
    params(("hash" = String, Path, description = "SHA-256 of its token, in hexadecimal.")),
    responses((status = 200, body = SessionView), (status = 404, description = "none that holds")),
)]
pub(super) async fn session(
    State(users): State<Users>,
    Path(hash): Path<String>,
) -> Result<Json<SessionView>, ApiError> {
    let now = now_ms();
    let session = users.sessions.find(checked(&hash)?, now).await?.ok_or_else(none)?;
    let account = users.accounts.with_id(&session.customer).await?.ok_or_else(none)?;
    Ok(Json(SessionView { customer: account.into(), stale: session.is_stale(now) }))
}

/// Ends a session. It is no mistake if it has ended already.
#[utoipa::path(
    delete,
    path = "/sessions/{hash}",
    params(("hash" = String, Path, description = "SHA-256 of its token, in hexadecimal.")),
    responses((status = 204)),
)]
pub(super) async fn end(
    State(users): State<Users>,
    Path(hash): Path<String>,
) -> Result<StatusCode, ApiError> {
    users.sessions.end(checked(&hash)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn none() -> ApiError {
    ApiError::not_found("there is no such session")
}

fn checked(hash: &str) -> Result<&str, ApiError> {
    let fits = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    if fits { Ok(hash) } else { Err(none()) }
}
