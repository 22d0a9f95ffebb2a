//! Who visits.

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::Deserialize;
use services_kit::client::Call;
use services_kit::{ApiError, Peer};
use uuid::Uuid;

use crate::Shop;
use crate::shapes::Person;
use crate::token::Token;
use crate::upstream;

/// Who visits. A customer's session is looked up at each request: one that was ended is over at once, wherever it was
/// ended.
pub(crate) enum Visitor {
    /// Without a cookie, or with one of a session that is over.
    Nobody,
    /// With a guest's cookie.
    Guest(Token),
    /// Signed in.
    Customer(Signed),
}

/// A customer who is signed in. Extracting it refuses everybody else with 401.
pub(crate) struct Signed {
    pub(crate) token: Token,
    pub(crate) customer: Person,
    /// Whether the token should be renewed.
    pub(crate) stale: bool,
}

#[derive(Deserialize)]
struct Session {
    customer: Person,
    stale: bool,
}

impl Visitor {
    /// Makes a call on the visitor's behalf; None for nobody.
    pub(crate) fn signs(&self, call: Call) -> Option<Call> {
        match self {
            Self::Nobody => None,
            Self::Guest(token) => Some(call.in_session(token.visit())),
            Self::Customer(signed) => Some(call.for_customer(signed.id())),
        }
    }

    async fn of(token: Token, shop: &Shop) -> Result<Self, ApiError> {
        if !token.is_customer() {
            return Ok(Self::Guest(token));
        }
        let call = shop.client(Peer::Users).get(&format!("/sessions/{}", token.hash()));
        match upstream::read::<Session>(call).await {
            Ok(Session { customer, stale }) => {
                Ok(Self::Customer(Signed { token, customer, stale }))
            }
            Err(error) if error.status() == StatusCode::NOT_FOUND => Ok(Self::Nobody),
            Err(error) => Err(error),
        }
    }
}

impl Signed {
    pub(crate) fn id(&self) -> Uuid {
        self.customer.id
    }
}

impl FromRequestParts<Shop> for Visitor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, shop: &Shop) -> Result<Self, ApiError> {
        match Token::of(&parts.headers) {
            Some(token) => Self::of(token, shop).await,
            None => Ok(Self::Nobody),
        }
    }
}

impl FromRequestParts<Shop> for Signed {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, shop: &Shop) -> Result<Self, ApiError> {
        match Visitor::from_request_parts(parts, shop).await? {
            Visitor::Customer(signed) => Ok(signed),
            Visitor::Nobody | Visitor::Guest(_) => Err(ApiError::unauthorized("sign in first")),
        }
    }
}
