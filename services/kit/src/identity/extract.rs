//! What handlers ask for: the customer, or the service that calls; and the gate that verifies before either.

use std::time::SystemTime;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use uuid::Uuid;

use super::{Claims, IDENTITY, IdentityError, Keys};
use crate::error::ApiError;

/// The customer on whose behalf a request is made. Extracting it refuses requests without one with 401.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Customer {
    /// The customer's id.
    pub id: Uuid,
}

/// The service that makes a request. Extracting it refuses requests without an identity with 401.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Internal {
    /// The service's name.
    pub service: String,
    /// The customer on whose behalf, if there is one.
    pub customer: Option<Uuid>,
    /// Within which visit to the shop, if in one.
    pub session: Option<Uuid>,
}

/// Who gets in.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    pub(crate) keys: Keys,
    /// Whether requests without an identity get in as well; one that does not hold never does.
    pub(crate) open: bool,
}

/// Middleware: verifies the identity and keeps it for the extractors.
pub(crate) async fn identify(
    State(gate): State<Gate>,
    mut request: Request,
    next: Next,
) -> Response {
    let claims = match request.headers().get(IDENTITY) {
        None if gate.open => return next.run(request).await,
        None => {
            return ApiError::unauthorized("this service answers the shop's own services only")
                .into_response();
        }
        Some(identity) => identity
            .to_str()
            .map_err(|_| IdentityError::Forged)
            .and_then(|identity| gate.keys.verify(identity, SystemTime::now())),
    };
    match claims {
        Ok(claims) => {
            request.extensions_mut().insert(claims);
            next.run(request).await
        }
        Err(error) => ApiError::unauthorized(error.to_string()).into_response(),
    }
}

fn claims(parts: &Parts) -> Result<&Claims, ApiError> {
    let claims = parts.extensions.get::<Claims>();
    claims.ok_or_else(|| ApiError::unauthorized("this needs an identity of the shop"))
}

impl<S: Sync> FromRequestParts<S> for Customer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let customer = claims(parts)?.customer;
        let id = customer.ok_or_else(|| ApiError::unauthorized("this needs a customer"))?;
        Ok(Self { id })
    }
}

impl<S: Sync> FromRequestParts<S> for Internal {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Claims { issuer, customer, session, .. } = claims(parts)?.clone();
        Ok(Self { service: issuer, customer, session })
    }
}
