//! The id that a request carries through all services: in `X-Request-ID`, in logs and in errors.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

/// The header that carries it, both ways.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Bytes of the longest id that is taken from outside: a UUID has 36.
const LONGEST: usize = 64;

tokio::task_local! {
    static CURRENT: RequestId;
}

/// An id of 1 to 64 letters, digits, `-`, `_` and `.`: it can stand in any log without being mistaken for more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// What a client sent, or a new one where it sent none or nonsense.
    pub fn of(headers: &HeaderMap) -> Self {
        let sent = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
        match sent.filter(|id| is_valid(id)) {
            Some(id) => Self(id.into()),
            None => Self::new(),
        }
    }

    /// A new one; ids sort by the time they were made.
    #[allow(clippy::new_without_default, reason = "each one differs")]
    pub fn new() -> Self {
        Self(Uuid::now_v7().to_string().into())
    }

    /// The one of the request that is being answered.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Runs `work` as part of this request.
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }

    /// As the header has it.
    pub fn header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::current().unwrap_or_else(|| Self::of(&parts.headers)))
    }
}

fn is_valid(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=LONGEST).contains(&id.len()) && id.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sent: &str) -> RequestId {
        let value = HeaderValue::from_bytes(sent.as_bytes()).unwrap();
        RequestId::of(&HeaderMap::from_iter([(REQUEST_ID, value)]))
    }

    #[test]
    fn a_plain_id_is_kept_and_anything_else_replaced() {
        for good in ["a", "01JD-x_y.z", &"x".repeat(64)] {
            assert_eq!(of(good).as_str(), good);
        }
        for bad in ["", "a b", "a\"b", "ä", "a,b", &"x".repeat(65)] {
            let id = of(bad);
            assert_ne!(id.as_str(), bad);
            assert!(is_valid(id.as_str()), "{id:?}");
        }
        assert_ne!(RequestId::of(&HeaderMap::new()), RequestId::of(&HeaderMap::new()));
    }
}
