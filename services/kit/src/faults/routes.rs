//! `/debug/faults` on the admin port.

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::{Faults, MAX_RATE};
use crate::error::ApiError;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    bytes_per_second: u64,
}

#[derive(Serialize)]
struct Known {
    name: &'static str,
    bytes_per_second: u64,
}

#[derive(Serialize)]
struct Listing {
    enabled: bool,
    faults: Vec<Known>,
}

/// `GET /debug/faults`, and `PUT` and `DELETE` of `/debug/faults/{name}`.
pub(crate) fn routes(faults: Faults) -> Router {
    Router::new()
        .route("/debug/faults", get(list))
        .route("/debug/faults/{name}", put(set).delete(stop))
        .with_state(faults)
}

async fn list(State(faults): State<Faults>) -> Json<Listing> {
    let known = faults.rates.iter();
    let known = known.map(|(name, rate)| Known { name, bytes_per_second: *rate.borrow() });
    Json(Listing { enabled: faults.enabled, faults: known.collect() })
}

async fn set(
    State(faults): State<Faults>,
    Path(name): Path<String>,
    order: Result<Json<Order>, JsonRejection>,
) -> Result<Json<Known>, ApiError> {
    // Off comes first: whoever is told to mend the body would only find out next that it was for nothing.
    refuse_when_off(&faults)?;
    let Json(order) = order?;
    change(&faults, &name, order.bytes_per_second)
}

async fn stop(
    State(faults): State<Faults>,
    Path(name): Path<String>,
) -> Result<Json<Known>, ApiError> {
    refuse_when_off(&faults)?;
    change(&faults, &name, 0)
}

fn refuse_when_off(faults: &Faults) -> Result<(), ApiError> {
    if faults.enabled {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        "faults are off; start the service with SHOP_FAULTS=on (or --faults on) to inject them",
    ))
}

fn change(faults: &Faults, name: &str, bytes_per_second: u64) -> Result<Json<Known>, ApiError> {
    let Some((name, rate)) = faults.rate(name) else {
        let names: Vec<&str> = faults.rates.iter().map(|(name, _)| *name).collect();
        return Err(ApiError::not_found(format!(
            "this service has no such fault; it has: {}",
            names.join(", ")
        )));
    };
    if bytes_per_second > MAX_RATE {
        return Err(ApiError::unprocessable(format!(
            "bytes_per_second is {bytes_per_second}, the most is {MAX_RATE} (1 GiB/s)"
        )));
    }
    rate.send_replace(bytes_per_second);
    tracing::warn!(fault = name, bytes_per_second, "a fault's rate was set");
    Ok(Json(Known { name, bytes_per_second }))
}
