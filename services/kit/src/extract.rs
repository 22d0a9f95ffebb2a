//! Extractors whose refusals are the shop's errors; they are used as axum's of the same names.

use axum::body::Bytes;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::ApiError;

/// A body as JSON, taken or given. What is taken is an object.
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let whole = Request::from_parts(parts.clone(), body);
        let bytes = Bytes::from_request(whole, state).await.map_err(JsonRejection::from)?;
        // To serde a list of its values is a struct as well. No document says so, and it breaks when a field is added.
        let is_list = bytes.trim_ascii_start().starts_with(b"[");
        let request = Request::from_parts(parts, bytes.into());
        let axum::Json(body) = axum::Json::from_request(request, state).await?;
        if is_list {
            return Err(ApiError::unprocessable("the body is an object, not a list"));
        }
        Ok(Self(body))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// What the path's placeholders hold.
#[derive(Clone, Copy, Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let axum::extract::Path(path) =
            axum::extract::Path::from_request_parts(parts, state).await?;
        Ok(Self(path))
    }
}

/// What follows the question mark.
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let axum::extract::Query(query) =
            axum::extract::Query::from_request_parts(parts, state).await?;
        Ok(Self(query))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header::CONTENT_TYPE;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Pair {
        left: u8,
        right: u8,
    }

    async fn read(body: &'static str) -> Result<Pair, u16> {
        let request = Request::post("/").header(CONTENT_TYPE, "application/json");
        let read = Json::<Pair>::from_request(request.body(body.into()).unwrap(), &()).await;
        read.map(|pair| pair.0).map_err(|error| error.status().as_u16())
    }

    #[tokio::test]
    async fn a_list_of_its_values_does_not_pass_for_an_object() {
        let pair = read(r#" {"left": 1, "right": 2}"#).await.unwrap();
        assert_eq!((pair.left, pair.right), (1, 2));
        for list in ["[1, 2]", " \n[1, 2]"] {
            assert_eq!(read(list).await.unwrap_err(), 422, "{list}");
        }
        assert_eq!(read("[1, 2").await.unwrap_err(), 400);
    }
}
