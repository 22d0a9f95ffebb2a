//! Cards at the door: what is taken, what is refused, and that nothing of a card stays.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may fail the test"
)]

#[path = "support/stage.rs"]
mod stage;

use std::fs;

use reqwest::Method;
use serde_json::{Value, json};
use services_kit::openapi::disagreements;
use services_kit::{Kit, Peer, Running};
use uuid::Uuid;

use stage::{Stage, answer};

const GOOD: &str = "4242424242424242";

async fn start(stage: &Stage) -> Running {
    let kit = Kit::new(Peer::Payments, stage.options()).unwrap();
    services_payments::service(kit).await.unwrap().start().await.unwrap()
}

async fn keep(stage: &Stage, running: &Running, card: Value) -> (u16, Value) {
    let request = stage.request(Method::POST, running, "/tokens", Uuid::new_v4());
    answer(request.json(&card)).await
}

fn card(number: &str) -> Value {
    json!({"card_number": number, "expiry": "12/99", "cvc": "123", "holder": "Ada"})
}

#[tokio::test]
async fn each_test_card_gets_a_token_of_its_own_that_tells_nothing_of_the_card() {
    let stage = Stage::open().await;
    let running = start(&stage).await;
    let mut seen = Vec::new();
    for number in [GOOD, GOOD, "4000 0000 0000 0002", "4000000000009995", "4000-0000-0000-0119"] {
        let (status, body) = keep(&stage, &running, card(number)).await;
        assert_eq!(status, 201, "{body}");
        assert_eq!(body["last4"], number[number.len() - 4..]);
        let token = body["token"].as_str().unwrap().to_owned();
        assert!(token.starts_with("tok_") && token.len() == 36, "{token}");
        assert!(!seen.contains(&token));
        seen.push(token);
    }
}

#[tokio::test]
async fn what_is_no_test_card_is_refused_with_a_code_and_never_repeated() {
    let stage = Stage::open().await;
    let running = start(&stage).await;
    let with = |field: &str, value: Value| {
        let mut card = card(GOOD);
        card[field] = value;
        card
    };
    for (expected, code, card) in [
        (422, "card_number_invalid", card("4242424242424241")),
        (422, "card_invalid", card("5555555555554444")),
        (422, "expiry_invalid", with("expiry", json!("1299"))),
        (422, "card_expired", with("expiry", json!("01/20"))),
        (422, "cvc_invalid", with("cvc", json!("4242424242424242"))),
        (422, "holder_invalid", with("holder", json!(""))),
        (422, "unprocessable", with("card_number", json!(4_242_424_242_424_242_u64))),
        (422, "unprocessable", with("4242424242424242", json!(""))),
    ] {
        let (status, body) = keep(&stage, &running, card).await;
        assert_eq!((status, &body["error"]["code"]), (expected, &json!(code)), "{body}");
        assert!(!body.to_string().contains(GOOD), "{body}");
    }
}

#[tokio::test]
async fn no_file_of_the_service_holds_a_card_number() {
    let stage = Stage::open().await;
    let running = start(&stage).await;
    let (status, body) = keep(&stage, &running, card(GOOD)).await;
    assert_eq!(status, 201, "{body}");
    let token = body["token"].as_str().unwrap().as_bytes().to_vec();
    let files = fs::read_dir(stage.data.path()).unwrap();
    let files: Vec<Vec<u8>> = files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect();
    let any_holds = |what: &[u8]| {
        files.iter().any(|file| file.windows(what.len()).any(|window| window == what))
    };
    assert!(any_holds(&token), "the token is in a file, so a number would have been found");
    assert!(!any_holds(GOOD.as_bytes()));
}

#[tokio::test]
async fn nobody_keeps_a_card_or_looks_at_payments_without_being_a_customer() {
    let stage = Stage::open().await;
    let running = start(&stage).await;
    let base = format!("http://{}", running.public_address);
    let client = reqwest::Client::new();
    let (status, _) = answer(client.post(format!("{base}/tokens")).json(&card(GOOD))).await;
    assert_eq!(status, 401);
    let (status, _) = answer(client.get(format!("{base}/payments/{}", Uuid::new_v4()))).await;
    assert_eq!(status, 401);
}

#[tokio::test]
async fn the_document_and_the_routes_agree() {
    let stage = Stage::open().await;
    let running = start(&stage).await;
    assert_eq!(disagreements(&running).await.unwrap(), Vec::<String>::new());
}
