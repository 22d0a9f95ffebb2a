//! The public API as customers use it, and as they misuse it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may fail the test"
)]

use reqwest::Client;
use serde_json::{Value, json};
use services_kit::openapi::disagreements;
use services_kit::{Kit, Options, Peer, Running};

async fn start() -> (Running, String) {
    let kit = Kit::new(Peer::Recommendations, Options::on_free_ports().unwrap()).unwrap();
    let service = services_recommendations::service(kit).await.unwrap().start().await.unwrap();
    let base = format!("http://{}", service.public_address);
    (service, base)
}

async fn get(url: String) -> (u16, Value) {
    let response = reqwest::get(url).await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn order(base: &str, body: String) -> (u16, Value) {
    let request = Client::new().post(format!("{base}/orders")).body(body);
    let response = request.header("content-type", "application/json").send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn orders_teach_what_is_recommended() {
    let (_service, base) = start().await;
    for items in [json!(["tea", "cup"]), json!(["tea", "cup", "honey"]), json!(["lamp"])] {
        let (status, body) = order(&base, json!({ "items": items }).to_string()).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(body["learned_items"], items.as_array().unwrap().len());
    }
    let (status, body) = get(format!("{base}/recommendations/tea?limit=3")).await;
    assert_eq!(status, 200);
    assert_eq!(
        body,
        json!({"item": "tea", "recommendations": [
            {"item": "cup", "score": 2, "reason": "bought-together"},
            {"item": "honey", "score": 1, "reason": "bought-together"},
            {"item": "lamp", "score": 1, "reason": "popular"},
        ]})
    );
    let (status, body) = get(format!("{base}/items/popular?limit=2")).await;
    assert_eq!(status, 200);
    assert_eq!(body["items"].as_array().unwrap().len(), 2);
    assert_eq!(body["items"][0]["score"], 2);
}

#[tokio::test]
async fn a_shop_without_orders_recommends_nothing_and_is_no_error() {
    let (_service, base) = start().await;
    let (status, body) = get(format!("{base}/recommendations/tea")).await;
    assert_eq!((status, body), (200, json!({"item": "tea", "recommendations": []})));
    assert_eq!(get(format!("{base}/items/popular")).await, (200, json!({"items": []})));
}

#[tokio::test]
async fn orders_that_make_no_sense_are_refused_with_a_reason_and_teach_nothing() {
    let (_service, base) = start().await;
    let many: Vec<String> = (0..51).map(|number| format!("i{number}")).collect();
    let cases = [
        (400, "not json".to_owned()),
        (422, "[".repeat(10_000)),
        (422, "{}".to_owned()),
        (422, r#"{"items": []}"#.to_owned()),
        (422, r#"{"items": ["tea"], "coupon": 1}"#.to_owned()),
        (422, r#"{"items": ["tea", 7]}"#.to_owned()),
        (422, r#"{"items": ["tea", ""]}"#.to_owned()),
        (422, r#"{"items": ["<script>"]}"#.to_owned()),
        (422, json!({ "items": ["x".repeat(65)] }).to_string()),
        (422, json!({ "items": many }).to_string()),
        (413, json!({ "items": ["x".repeat(70_000)] }).to_string()),
    ];
    for (expected, body) in cases {
        let shown: String = body.chars().take(40).collect();
        let (status, answer) = order(&base, body).await;
        assert_eq!(status, expected, "{shown}: {answer}");
        let message = answer["error"]["message"].as_str();
        assert!(message.is_some_and(|message| !message.is_empty()), "{shown}: {answer}");
    }
    assert_eq!(get(format!("{base}/items/popular")).await.1, json!({"items": []}));
}

#[tokio::test]
async fn an_order_without_its_content_type_is_refused() {
    let (_service, base) = start().await;
    let request = Client::new().post(format!("{base}/orders")).body(r#"{"items": ["tea"]}"#);
    assert_eq!(request.send().await.unwrap().status().as_u16(), 415);
}

#[tokio::test]
async fn questions_that_make_no_sense_are_refused_with_a_reason() {
    let (_service, base) = start().await;
    for (expected, path) in [
        (422, "/recommendations/tea?limit=0"),
        (422, "/recommendations/tea?limit=51"),
        (400, "/recommendations/tea?limit=-1"),
        (400, "/recommendations/tea?limit=many"),
        (400, "/recommendations/tea?limit=99999999999999999999999"),
        (400, "/recommendations/tea?limt=5"),
        (400, "/items/popular?limit=1&limit=2"),
        (422, "/recommendations/%2e%2e%2fetc"),
        (400, "/recommendations/%ff%fe"),
        (404, "/recommendations/"),
        (405, "/orders"),
    ] {
        let (status, body) = get(format!("{base}{path}")).await;
        assert_eq!(status, expected, "{path}: {body}");
        assert!(body["error"]["code"].is_string(), "{path}: {body}");
    }
}

#[tokio::test]
async fn what_was_learned_shows_in_the_metrics() {
    let (service, base) = start().await;
    order(&base, json!({"items": ["tea", "cup"]}).to_string()).await;
    let url = format!("http://{}/metrics", service.admin_address);
    let text = reqwest::get(url).await.unwrap().text().await.unwrap();
    for line in ["recommendations_orders_total 1", "recommendations_items 2"] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn the_document_and_the_routes_agree() {
    let (service, _) = start().await;
    assert_eq!(disagreements(&service).await.unwrap(), Vec::<String>::new());
}
