//! In a shop: learning from paid orders, over restarts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may fail the test"
)]

#[path = "../../payments/tests/support/stage.rs"]
mod stage;

use serde_json::json;
use services_engines::Engine;
use services_kit::events::{Line, OrderPaid};
use services_kit::openapi::disagreements;
use services_kit::{Kit, Options, Peer, Running};
use uuid::Uuid;

use stage::{Stage, answer, customer, until_metric};

async fn start(options: Options) -> Running {
    let kit = Kit::new(Peer::Recommendations, options).unwrap();
    services_recommendations::service(kit).await.unwrap().start().await.unwrap()
}

fn paid(order_id: Uuid, products: &[&str]) -> OrderPaid {
    let line = |id: &&str| Line {
        product_id: (*id).into(),
        name: "A thing".into(),
        quantity: 3,
        unit_price: 100,
    };
    OrderPaid {
        order_id,
        number: "A-1".into(),
        customer: customer(Uuid::new_v4()),
        lines: products.iter().map(line).collect(),
        total: 900,
        currency: "EUR".into(),
        payment_id: Uuid::nil(),
    }
}

async fn assert_learned(stage: &Stage, running: &Running) {
    let (status, body) = stage.get(running, "/recommendations/tea?limit=2", Uuid::new_v4()).await;
    assert_eq!(status, 200, "{body}");
    let expected = json!([
        {"item": "cup", "score": 2, "reason": "bought-together"},
        {"item": "lamp", "score": 1, "reason": "popular"},
    ]);
    assert_eq!(body["recommendations"], expected);
}

#[tokio::test]
async fn paid_orders_teach_once_and_a_restart_forgets_nothing() {
    let stage = Stage::open().await;
    taught_once(&stage, stage.options()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paid_orders_teach_once_and_a_restart_forgets_nothing_on_postgres() {
    let engine = tokio::task::spawn_blocking(Engine::postgres).await.unwrap().unwrap();
    let stage = Stage::open().await;
    let options = Options { database_url: Some(engine.url().into()), ..stage.options() };
    taught_once(&stage, options).await;
}

async fn taught_once(stage: &Stage, options: Options) {
    let running = start(options.clone()).await;
    let order = Uuid::now_v7();
    let event = stage.tell(order, paid(order, &["tea", "cup"])).await;
    // The same event, and another that says the same.
    stage.tell_again(&event).await;
    stage.tell(order, paid(order, &["tea", "cup"])).await;
    for products in [&["tea", "cup", "no product!"][..], &["lamp"]] {
        let order = Uuid::now_v7();
        stage.tell(order, paid(order, products)).await;
    }
    let done = "shop_events_consumed_total{outcome=\"done\",type=\"order.paid\"} 4";
    until_metric(&running, done).await;
    until_metric(&running, "recommendations_orders_total 3").await;
    assert_learned(stage, &running).await;
    assert!(running.stop().await);
    assert_learned(stage, &start(options).await).await;
}

#[tokio::test]
async fn in_a_shop_it_answers_the_shops_services_only() {
    let stage = Stage::open().await;
    let running = start(stage.options()).await;
    let url = format!("http://{}/recommendations/tea", running.public_address);
    assert_eq!(answer(reqwest::Client::new().get(url)).await.0, 401);
    assert_eq!(disagreements(&running).await.unwrap(), Vec::<String>::new());
}
