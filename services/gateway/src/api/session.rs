//! Who visits: the session, and how it begins and ends. It gets another token whenever somebody else is meant by it,
//! and once a day.

use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use services_kit::client::Call;
use services_kit::{ApiError, Json, Peer};
use utoipa::ToSchema;

use crate::guard::{Https, Try};
use crate::shapes::{Count, Person};
use crate::token::{Token, no_cart_cookie, no_cookie};
use crate::visitor::{Signed, Visitor};
use crate::{Shop, upstream};

/// Who visits.
#[derive(Serialize, ToSchema)]
pub(super) struct Session {
    /// Null for guests.
    customer: Option<Person>,
    /// What the header X-CSRF-Token must have in requests that change something.
    csrf_token: String,
    /// Pieces in the cart.
    cart_items: i64,
}

/// Somebody who is signed in by now.
#[derive(Serialize, ToSchema)]
pub(super) struct Welcome {
    customer: Person,
}

/// What the users service answers when a session was opened.
#[derive(Deserialize)]
struct Opened {
    customer: Person,
    session: Handed,
}

#[derive(Deserialize)]
struct Handed {
    token: String,
    seconds: u64,
}

/// An answer that hands out a cookie.
pub(super) type WithCookie<T> = (HeaderMap, Json<T>);

fn handing(cookie: HeaderValue) -> HeaderMap {
    HeaderMap::from_iter([(SET_COOKIE, cookie)])
}

/// One more beside those.
pub(super) fn with(mut cookies: HeaderMap, cookie: Option<HeaderValue>) -> HeaderMap {
    if let Some(cookie) = cookie {
        cookies.append(SET_COOKIE, cookie);
    }
    cookies
}

/// Opens a session at the users service: who it is of, its token, and the cookie for it.
async fn opened(call: Call, https: bool) -> Result<(Person, Token, HeaderMap), ApiError> {
    let Opened { customer, session } = upstream::read(call).await?;
    let token = Token::customer(session.token);
    let cookie = token.cookie(session.seconds, https)?;
    Ok((customer, token, handing(cookie)))
}

/// The same, as the answer to the one whose session it is.
pub(super) async fn welcomed(call: Call, https: bool) -> Result<WithCookie<Welcome>, ApiError> {
    let (customer, _, cookie) = opened(call, https).await?;
    Ok((cookie, Json(Welcome { customer })))
}

/// Who visits, and the token that the other requests need. Begins a session if there is none.
#[utoipa::path(get, path = "/api/session", responses((status = 200, body = Session)))]
pub(super) async fn session(
    State(shop): State<Shop>,
    visitor: Visitor,
    Https(https): Https,
    asked: HeaderMap,
) -> Result<WithCookie<Session>, ApiError> {
    let left = Token::left_behind(&asked);
    let caught_up = catch_up(&shop, &visitor, left.as_ref(), https).await?;
    let cart_items = pieces(&shop, &visitor).await;
    let (customer, token, headers) = match visitor {
        Visitor::Nobody => {
            // A guest again, with the cart that is still there.
            let forgotten = left.as_ref().map(|_| no_cart_cookie(https)).transpose()?;
            let token = left.map_or_else(Token::guest, Ok)?;
            let cookies = handing(token.guest_cookie(https)?);
            (None, token, with(cookies, forgotten))
        }
        Visitor::Guest(token) => (None, token, HeaderMap::new()),
        Visitor::Customer(signed) => {
            let (token, cookie) = renewed(&shop, &signed, https).await;
            (Some(signed.customer), token, cookie)
        }
    };
    let headers = with(headers, caught_up);
    Ok((headers, Json(Session { customer, csrf_token: token.csrf(), cart_items })))
}

/// A fresh token for a session whose token has grown old, and its cookie. If there is none to be had – another request
/// was faster, or the users service is away – the old one does for now.
async fn renewed(shop: &Shop, signed: &Signed, https: bool) -> (Token, HeaderMap) {
    if signed.stale {
        let body = serde_json::json!({ "hash": signed.token.hash() });
        let call = shop.client(Peer::Users).post("/sessions").json(&body);
        match opened(call, https).await {
            Ok((_, token, cookie)) => return (token, cookie),
            Err(error) => tracing::debug!(%error, "a session was not renewed"),
        }
    }
    (signed.token.clone(), HeaderMap::new())
}

/// How many pieces are in the visitor's cart. That the orders service is away is no reason to know nobody.
async fn pieces(shop: &Shop, visitor: &Visitor) -> i64 {
    let Some(call) = visitor.signs(shop.client(Peer::Orders).get("/cart/count")) else { return 0 };
    match upstream::read::<Count>(call).await {
        Ok(count) => count.items,
        Err(error) => {
            tracing::warn!(%error, "the cart was not counted");
            0
        }
    }
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Registration {
    #[schema(format = Email, max_length = 254)]
    email: String,
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    #[schema(min_length = 10, max_length = 200)]
    password: String,
}

/// Opens an account and signs in. The guest's cart becomes the customer's.
#[utoipa::path(
    post,
    path = "/api/register",
    params(("X-CSRF-Token" = String, Header, description = "Of the session.")),
    request_body = Registration,
    responses(
        (status = 201, body = Welcome),
        (status = 409, description = "email_taken"),
        (status = 422, description = "invalid_email, invalid_name, weak_password"),
        (status = 429, description = "Too many accounts from one address."),
    ),
)]
pub(super) async fn register(
    State(shop): State<Shop>,
    _: Try,
    Https(https): Https,
    visitor: Visitor,
    Json(body): Json<Registration>,
) -> Result<(StatusCode, HeaderMap, Json<Welcome>), ApiError> {
    let call = shop.client(Peer::Users).post("/customers").json(&body);
    let (cookies, welcome) = welcomed(call, https).await?;
    let cart = settle(&shop, visitor, &welcome.0.customer, https).await?;
    Ok((StatusCode::CREATED, with(cookies, cart), welcome))
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Credentials {
    #[schema(max_length = 254)]
    email: String,
    #[schema(max_length = 200)]
    password: String,
}

/// Signs in. The guest's cart becomes the customer's.
#[utoipa::path(
    post,
    path = "/api/sign-in",
    params(("X-CSRF-Token" = String, Header, description = "Of the session.")),
    request_body = Credentials,
    responses(
        (status = 200, body = Welcome),
        (status = 401, description = "wrong_credentials"),
        (status = 429, description = "Too many tries."),
    ),
)]
pub(super) async fn sign_in(
    State(shop): State<Shop>,
    _: Try,
    Https(https): Https,
    visitor: Visitor,
    Json(body): Json<Credentials>,
) -> Result<WithCookie<Welcome>, ApiError> {
    let call = shop.client(Peer::Users).post("/sign-in").json(&body);
    let (cookies, welcome) = welcomed(call, https).await?;
    let cart = settle(&shop, visitor, &welcome.0.customer, https).await?;
    Ok((with(cookies, cart), welcome))
}

/// What the visit was before somebody signed in: a guest's cart goes with them, another session ends. Neither keeps
/// them out if it cannot be done. The cookie that remembers a cart which cannot go along yet, see [`catch_up`].
async fn settle(
    shop: &Shop,
    before: Visitor,
    customer: &Person,
    https: bool,
) -> Result<Option<HeaderValue>, ApiError> {
    match before {
        Visitor::Nobody => {}
        Visitor::Guest(guest) => {
            if let Err(error) = merge(shop, &guest, customer).await {
                tracing::warn!(%error, "a cart goes along later");
                return guest.cart_cookie(https).map(Some);
            }
        }
        Visitor::Customer(signed) => {
            let end =
                shop.client(Peer::Users).delete(&format!("/sessions/{}", signed.token.hash()));
            if let Err(error) = upstream::answered(end).await {
                tracing::warn!(%error, "the session before the sign-in has not ended");
            }
        }
    }
    Ok(None)
}

/// The guest's cart becomes the customer's; again, nothing happens.
async fn merge(shop: &Shop, guest: &Token, customer: &Person) -> Result<(), ApiError> {
    let merge = shop.client(Peer::Orders).post("/cart/merge").idempotent();
    upstream::answered(merge.for_customer(customer.id).in_session(guest.visit())).await?;
    Ok(())
}

/// Lets a cart that could not go along at the sign-in do so now; the cookie that forgets it, if it did.
pub(super) async fn catch_up(
    shop: &Shop,
    visitor: &Visitor,
    left: Option<&Token>,
    https: bool,
) -> Result<Option<HeaderValue>, ApiError> {
    let (Visitor::Customer(signed), Some(guest)) = (visitor, left) else { return Ok(None) };
    match merge(shop, guest, &signed.customer).await {
        Ok(()) => no_cart_cookie(https).map(Some),
        Err(error) => {
            tracing::warn!(%error, "a cart goes along later");
            Ok(None)
        }
    }
}

/// Ends the session. It is no mistake if there is none.
#[utoipa::path(
    post,
    path = "/api/sign-out",
    params(("X-CSRF-Token" = String, Header, description = "Of the session.")),
    responses((status = 204)),
)]
pub(super) async fn sign_out(
    State(shop): State<Shop>,
    Https(https): Https,
    headers: HeaderMap,
) -> Result<(StatusCode, HeaderMap), ApiError> {
    if let Some(token) = Token::of(&headers).filter(Token::is_customer) {
        let end = shop.client(Peer::Users).delete(&format!("/sessions/{}", token.hash()));
        upstream::answered(end).await?;
    }
    Ok((StatusCode::NO_CONTENT, handing(no_cookie(https)?)))
}
