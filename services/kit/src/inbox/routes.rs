//! Dead letters on the admin port.

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};

use serde::{Deserialize, Serialize};

use super::Consumer;
use super::dead::{self, DeadLetter, Driven, MOST};
use crate::{ApiError, Json, Query};

/// What is listed or driven unless it is told otherwise.
const DEFAULT: u32 = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    #[serde(default = "Page::default_limit")]
    limit: u32,
}

impl Page {
    fn default_limit() -> u32 {
        DEFAULT
    }

    fn checked(self) -> Result<u32, ApiError> {
        if (1..=MOST).contains(&self.limit) {
            return Ok(self.limit);
        }
        Err(ApiError::unprocessable(format!("limit is {}, not 1 to {MOST}", self.limit)))
    }
}

#[derive(Serialize)]
struct Listing {
    total: i64,
    items: Vec<DeadLetter>,
}

pub(super) fn routes(consumer: Consumer) -> Router {
    Router::new()
        .route("/debug/dead-letters", get(list))
        .route("/debug/dead-letters/redrive", post(redrive))
        .with_state(consumer)
}

async fn list(
    State(consumer): State<Consumer>,
    Query(page): Query<Page>,
) -> Result<Json<Listing>, ApiError> {
    let items = consumer.dead_letters(page.checked()?).await?;
    Ok(Json(Listing { total: dead::count(consumer.database()).await?, items }))
}

async fn redrive(
    State(consumer): State<Consumer>,
    Query(page): Query<Page>,
) -> Result<Json<Driven>, ApiError> {
    Ok(Json(consumer.redrive(page.checked()?).await?))
}
