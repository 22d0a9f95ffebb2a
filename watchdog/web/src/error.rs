//! An answer that is a mistake: a status code and one JSON object that says what is wrong and how to mend it.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::dumps::{CaptureError, RenderError};

/// What a handler returns instead of an answer.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    text: String,
    /// Seconds after which it is worth to try again.
    retry_after: Option<u32>,
}

/// The body of every answer that is a mistake.
#[derive(Serialize)]
struct Body<'a> {
    error: &'a str,
}

/// Seconds to wait when as much as possible is done already: captures and renderings take less.
const RETRY_AFTER: u32 = 2;
/// The text of a mistake, kept beside its answer for those who cannot read JSON.
#[derive(Clone)]
pub(crate) struct Text(pub(crate) String);

/// Longest text of an error: some of them repeat what was sent.
const MAX_TEXT: usize = 400;

impl ApiError {
    pub(crate) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), retry_after: None }
    }

    pub(crate) fn bad_request(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    pub(crate) fn not_found(text: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let text: String = self.text.chars().take(MAX_TEXT).collect();
        let mut response = (self.status, Json(Body { error: &text })).into_response();
        response.extensions_mut().insert(Text(text));
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<CaptureError> for ApiError {
    fn from(error: CaptureError) -> Self {
        let status = match error {
            CaptureError::UnknownTarget(_) => StatusCode::NOT_FOUND,
            CaptureError::Unavailable(_) => StatusCode::CONFLICT,
            CaptureError::Busy => StatusCode::TOO_MANY_REQUESTS,
            CaptureError::Failed(_) => StatusCode::BAD_GATEWAY,
        };
        let retry_after = (error == CaptureError::Busy).then_some(RETRY_AFTER);
        Self { retry_after, ..Self::new(status, error.to_string()) }
    }
}

impl From<RenderError> for ApiError {
    fn from(error: RenderError) -> Self {
        let status = match error {
            RenderError::UnknownDump(_) | RenderError::UnknownTarget(_) => StatusCode::NOT_FOUND,
            RenderError::Unavailable(_) | RenderError::Busy => StatusCode::SERVICE_UNAVAILABLE,
            RenderError::Failed(_) => StatusCode::BAD_GATEWAY,
        };
        let retry_after = (error == RenderError::Busy).then_some(RETRY_AFTER);
        Self { retry_after, ..Self::new(status, error.to_string()) }
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}

/// Query parameters; what `T` does not know is refused.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Ok(Self(Query::from_request_parts(parts, state).await?.0))
    }
}

/// For routes without query parameters.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoParams {}

/// The one name or id in the path: at most 256 bytes, no control characters.
pub(crate) struct Name(pub(crate) String);

/// Longest name or id. A container's name, its pod and its namespace fit with room to spare.
const MAX_NAME: usize = 256;

/// Refuses what cannot be a name, so that no log line or error repeats it.
pub(crate) fn check_name(name: &str) -> Result<(), ApiError> {
    if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(ApiError::bad_request(format!(
            "a name or id has 1 to {MAX_NAME} bytes and no control characters"
        )));
    }
    Ok(())
}

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(name) = Path::<String>::from_request_parts(parts, state).await?;
        check_name(&name)?;
        Ok(Self(name))
    }
}
