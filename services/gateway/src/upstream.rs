//! Answers of the other services, passed on: what they refuse, the client is refused, in the same words.

use axum::http::header::RETRY_AFTER;
use serde::de::DeserializeOwned;
use services_kit::client::{Call, CallError, Reply};
use services_kit::{ApiError, ErrorBody};

/// Makes a call and reads its answer.
pub(crate) async fn read<T: DeserializeOwned>(call: Call) -> Result<T, ApiError> {
    let reply = answered(call).await?;
    serde_json::from_slice(&reply.body).map_err(|error| {
        tracing::error!(%error, "a service answered something else than agreed");
        ApiError::unavailable("the shop cannot answer this now").retry_after(3)
    })
}

/// Makes a call; its answer, if that is none of the refusals.
pub(crate) async fn answered(call: Call) -> Result<Reply, ApiError> {
    let reply = call.reply().await.map_err(worded)?;
    if reply.status.is_success() {
        return Ok(reply);
    }
    let error = match serde_json::from_slice::<ErrorBody>(&reply.body) {
        Ok(ErrorBody { error }) => ApiError::new(reply.status, error.message).code(error.code),
        Err(_) => ApiError::new(reply.status, "the shop does not take this"),
    };
    let seconds =
        reply.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Err(match seconds {
        Some(seconds) => error.retry_after(seconds),
        None => error,
    })
}

/// Customers know nothing of services.
fn worded(error: CallError) -> ApiError {
    match error {
        CallError::Refused { .. } | CallError::Late { .. } => error.into(),
        _ => {
            tracing::warn!(%error, "a call failed");
            let message = "this part of the shop does not answer at the moment";
            ApiError::unavailable(message).retry_after(3)
        }
    }
}
