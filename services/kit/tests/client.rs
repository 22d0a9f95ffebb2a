//! Calls from one service to another, both started in this process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may fail the test"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};
use services_kit::client::CallError;
use services_kit::openapi::{Api, routes};
use services_kit::{
    ApiError, Customer, Internal, Json, Kit, Options, Peer, RequestId, Running, Service,
};
use uuid::Uuid;

#[derive(Clone, Default)]
struct Asked {
    times: Arc<AtomicU32>,
    /// How many of the first requests fail.
    failures: Arc<AtomicU32>,
}

/// Fails for a while.
#[utoipa::path(get, path = "/flaky", responses((status = 200, body = String)))]
async fn flaky(State(asked): State<Asked>) -> Result<Json<u32>, ApiError> {
    answer(&asked)
}

/// Fails for a while, and would do something twice.
#[utoipa::path(post, path = "/flaky", responses((status = 200, body = String)))]
async fn flaky_order(State(asked): State<Asked>) -> Result<Json<u32>, ApiError> {
    answer(&asked)
}

fn answer(asked: &Asked) -> Result<Json<u32>, ApiError> {
    let time = asked.times.fetch_add(1, Ordering::SeqCst) + 1;
    if time <= asked.failures.load(Ordering::SeqCst) {
        return Err(ApiError::unavailable("not yet"));
    }
    Ok(Json(time))
}

/// Says who asks.
#[utoipa::path(get, path = "/me", responses((status = 200, body = String)))]
async fn me(customer: Customer, internal: Internal, id: RequestId) -> Json<Value> {
    Json(json!({"customer": customer.id, "service": internal.service, "id": id.as_str()}))
}

/// Refuses.
#[utoipa::path(get, path = "/sold-out", responses((status = 409, description = "always")))]
async fn sold_out() -> ApiError {
    ApiError::conflict("none left").code("out_of_stock")
}

/// Hangs.
#[utoipa::path(get, path = "/slow", responses((status = 408, description = "always")))]
async fn slow() {
    std::future::pending::<()>().await;
}

fn options() -> Options {
    let options = Options::on_free_ports().unwrap();
    Options { internal_key: Some("k".repeat(32).into()), ..options }
}

async fn inventory() -> (Running, Asked) {
    let asked = Asked::default();
    let api = Api::new()
        .routes(routes!(flaky, flaky_order))
        .routes(routes!(me))
        .routes(routes!(sold_out))
        .routes(routes!(slow))
        .with_state(asked.clone());
    let kit = Kit::new(Peer::Inventory, options()).unwrap();
    (Service::new(kit, api).start().await.unwrap(), asked)
}

fn caller(of: &Running) -> Kit {
    let mut options = options();
    options.peers.inventory_url = format!("http://{}", of.public_address).parse().unwrap();
    Kit::new(Peer::Orders, options).unwrap()
}

#[tokio::test]
async fn a_call_carries_the_caller_the_customer_and_the_request() {
    let (running, _) = inventory().await;
    let client = caller(&running).client(Peer::Inventory);
    let customer = Uuid::now_v7();
    let id = RequestId::new();
    let call = client.get("/me").for_customer(customer).send::<Value>();
    let answer = id.clone().scope(call).await.unwrap();
    assert_eq!(answer, json!({"customer": customer, "service": "orders", "id": id.as_str()}));
}

#[tokio::test]
async fn what_may_be_repeated_is_and_what_may_not_is_tried_once() {
    let (running, asked) = inventory().await;
    let client = caller(&running).client(Peer::Inventory);
    asked.failures.store(2, Ordering::SeqCst);
    assert_eq!(client.get("/flaky").send::<u32>().await.unwrap(), 3);
    asked.failures.store(5, Ordering::SeqCst);
    let error = client.post("/flaky").send::<u32>().await.unwrap_err();
    assert!(matches!(error, CallError::Failed { status, .. } if status == 503), "{error:?}");
    assert_eq!(asked.times.load(Ordering::SeqCst), 4, "tried once");
    assert_eq!(client.post("/flaky").idempotent().send::<u32>().await.unwrap(), 6);
}

#[tokio::test]
async fn a_refusal_keeps_its_code_and_is_not_repeated() {
    let (running, _) = inventory().await;
    let kit = caller(&running);
    let client = kit.client(Peer::Inventory);
    let error = client.get("/sold-out").send::<u32>().await.unwrap_err();
    assert_eq!(error.refused(), Some(StatusCode::CONFLICT));
    assert!(error.to_string().contains("out_of_stock"), "{error}");
    assert_eq!(ApiError::from(error).status(), StatusCode::CONFLICT);
    let reply = client.get("/sold-out").reply().await.unwrap();
    assert_eq!(reply.status, 409, "as it is, for whoever passes it on");
    let text = metrics(&kit);
    assert!(
        text.contains(r#"shop_client_requests_total{outcome="refused",peer="inventory"} 2"#),
        "{text}"
    );
}

fn metrics(kit: &Kit) -> String {
    services_kit::prometheus::TextEncoder::new().encode_to_string(&kit.registry().gather()).unwrap()
}

#[tokio::test]
async fn a_service_that_is_away_is_not_asked_for_a_while() {
    let (running, _) = inventory().await;
    let kit = caller(&running);
    assert!(running.stop().await);
    let client = kit.client(Peer::Inventory);
    for _ in 0..2 {
        let error = client.get("/me").ok().await.unwrap_err();
        assert!(
            matches!(error, CallError::Unreachable { .. } | CallError::Broken { .. }),
            "{error:?}"
        );
    }
    let error = client.get("/me").ok().await.unwrap_err();
    assert!(matches!(error, CallError::Broken { .. }), "{error:?}");
    assert_eq!(ApiError::from(error).status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_call_ends_at_its_deadline() {
    let (running, _) = inventory().await;
    let client = caller(&running).client(Peer::Inventory);
    let call = client.get("/slow").deadline(Duration::from_millis(100)).ok();
    let error = tokio::time::timeout(Duration::from_secs(30), call).await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Late { .. }), "{error:?}");
    assert_eq!(ApiError::from(error).status(), StatusCode::GATEWAY_TIMEOUT);
}
