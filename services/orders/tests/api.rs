//! Carts, checkout and orders as the gateway uses them, with the other services around.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may fail the test"
)]

#[path = "support/shop.rs"]
mod shop;

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use services_engines::Engine;
use services_kit::events::{
    Body, NotificationSent, PaymentFailed, PaymentRefunded, PaymentSucceeded, StockRejected,
    StockReserved,
};
use services_kit::openapi::disagreements;
use shop::{Shop, Who, customer, request, visit};
use uuid::Uuid;

fn reserved(order_id: Uuid, who: Who) -> StockReserved {
    StockReserved {
        order_id,
        customer_id: who.customer.unwrap(),
        total: 900,
        currency: "EUR".into(),
        payment_token: "tok_1".into(),
    }
}

fn succeeded(order_id: Uuid) -> PaymentSucceeded {
    let (payment_id, currency) = (Uuid::from_u128(9), "EUR".into());
    PaymentSucceeded { order_id, payment_id, amount: 900, currency }
}

fn refunded(order_id: Uuid) -> PaymentRefunded {
    let (payment_id, currency) = (Uuid::from_u128(9), "EUR".into());
    PaymentRefunded { order_id, payment_id, amount: 900, currency }
}

fn states(order: &Value) -> Vec<&str> {
    let history = order["history"].as_array().unwrap();
    history.iter().map(|step| step["state"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_cart_is_filled_changed_and_emptied() {
    let shop = Shop::open().await;
    let who = visit(1);
    assert_eq!(
        shop.get(who, "/cart").await,
        (200, json!({"items": [], "total": 0, "currency": "EUR"}))
    );
    assert_eq!(shop.put(who, "tea", 2).await.0, 200);
    let (status, cart) = shop.put(who, "cup", 1).await;
    assert_eq!(status, 200);
    assert_eq!((&cart["total"], &cart["items"][0]["line_total"]), (&json!(2_190), &json!(900)));
    let product = &cart["items"][1]["product"];
    assert_eq!((&product["id"], &product["available"]), (&json!("cup"), &json!(3)));
    assert_eq!(shop.get(who, "/cart").await.1, cart);
    assert_eq!(shop.get(who, "/cart/count").await.1, json!({"items": 3}));
    let (_, cart) = shop.put(who, "tea", 0).await;
    assert_eq!(cart["items"].as_array().unwrap().len(), 1);
    assert_eq!(shop.get(visit(2), "/cart/count").await.1, json!({"items": 0}), "another's");
    shop.shelf.lock().unwrap().clear();
    assert_eq!(shop.get(who, "/cart").await.1["items"], json!([]), "nobody sells it any more");
}

#[tokio::test]
async fn what_a_cart_cannot_hold_is_refused_and_changes_nothing() {
    let shop = Shop::open().await;
    let who = visit(1);
    assert_eq!(shop.put(who, "cup", 3).await.0, 200);
    for (product, quantity, status, code) in [
        ("cup", 4, 409, "out_of_stock"),
        ("pot", 1, 409, "out_of_stock"),
        ("spoon", 1, 404, "not_found"),
        ("%00", 1, 404, "not_found"),
        ("tea", 100, 422, "unprocessable"),
        ("tea", -1, 422, "unprocessable"),
    ] {
        let (answered, body) = shop.put(who, product, quantity).await;
        assert_eq!((answered, &body["error"]["code"]), (status, &json!(code)), "{product} {body}");
    }
    assert_eq!(shop.get(who, "/cart/count").await.1, json!({"items": 3}));
    shop.shelf.lock().unwrap().insert("cup".into(), (1_290, 1));
    assert_eq!(shop.put(who, "cup", 2).await.0, 200, "fewer is better than more");
    for number in 0..50 {
        shop.shelf.lock().unwrap().insert(format!("p{number}"), (1, 1));
        let (status, body) = shop.put(who, &format!("p{number}"), 1).await;
        assert_eq!(status, if number < 49 { 200 } else { 409 }, "{number}: {body}");
    }
    let nobody = Who::default();
    assert_eq!(shop.get(nobody, "/cart").await.0, 401);
    assert_eq!(shop.get(visit(1), "/orders").await.0, 401);
}

#[tokio::test]
async fn the_cart_of_a_visit_becomes_the_customers_once() {
    let shop = Shop::open().await;
    let both = Who { session: visit(1).session, ..customer(1) };
    shop.put(visit(1), "tea", 2).await;
    shop.put(visit(1), "cup", 1).await;
    shop.put(customer(1), "tea", 3).await;
    for _ in 0..2 {
        assert_eq!(shop.post(both, "/cart/merge").await, (200, json!({"items": 6})));
    }
    let (_, cart) = shop.get(customer(1), "/cart").await;
    let tea = cart["items"].as_array().unwrap().iter().find(|line| line["product"]["id"] == "tea");
    assert_eq!(tea.unwrap()["quantity"], 5);
    assert_eq!(shop.get(visit(1), "/cart/count").await.1, json!({"items": 0}));
    assert_eq!(shop.get(both, "/cart/count").await.1, json!({"items": 6}), "the customer counts");
    assert_eq!(shop.post(visit(1), "/cart/merge").await.0, 401);
}

async fn an_order_goes_its_way(shop: Shop) {
    let who = customer(1);
    let id = shop.order(who, "key-1").await;
    let Body::OrderPlaced(placed) = shop.hears("order.placed", id).await.body else { panic!() };
    assert_eq!((placed.total, placed.payment_token.as_str()), (900, "tok_1"));
    assert_eq!((placed.customer.email.as_str(), placed.lines[0].quantity), ("ada@example.org", 2));
    let (_, order) = shop.get(who, &format!("/orders/{id}")).await;
    let at = order["history"][0]["at"].clone();
    assert!(at.as_str().unwrap().ends_with('Z'), "{at}");
    assert_eq!(
        order,
        json!({
            "id": id.to_string(),
            "number": placed.number,
            "state": "placed",
            "history": [{"state": "placed", "at": at}],
            "items": [{
                "product": {"id": "tea", "name": "A tea", "picture": "/pictures/tea.svg", "price": 450},
                "quantity": 2,
                "line_total": 900,
            }],
            "total": 900,
            "currency": "EUR",
            "payment": {"last4": "4242", "state": "pending"},
            "address": request()["address"],
        })
    );
    assert_eq!(shop.get(who, "/cart/count").await.1, json!({"items": 0}));
    shop.say(id, reserved(id, who)).await;
    shop.until(who, id, |order| order["state"] == "reserved").await;
    shop.say(id, succeeded(id)).await;
    let Body::OrderPaid(paid) = shop.hears("order.paid", id).await.body else { panic!() };
    assert_eq!((paid.payment_id, paid.lines), (Uuid::from_u128(9), placed.lines));
    let sent = |about: &str| NotificationSent {
        order_id: id,
        message_id: Uuid::nil(),
        about: about.into(),
    };
    shop.say(id, sent("order.cancelled")).await;
    shop.say(id, sent("order.paid")).await;
    let order = shop.until(who, id, |order| order["state"] == "notified").await;
    assert_eq!(states(&order), ["placed", "reserved", "paid", "notified"]);
    assert_eq!(order["payment"]["state"], "paid");
    let (status, late) = shop.post(who, &format!("/orders/{id}/cancel")).await;
    assert_eq!((status, &late["error"]["code"]), (409, &json!("too_late")));
    let url = format!("http://{}/metrics", shop.service.admin_address);
    let metrics = reqwest::get(url).await.unwrap().text().await.unwrap();
    for line in [
        "shop_orders_total{state=\"placed\"} 1",
        "shop_orders_total{state=\"notified\"} 1",
        "shop_orders_total{state=\"cancelled\"} 0",
        "shop_order_duration_seconds_count 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}

#[tokio::test]
async fn an_order_goes_its_way_on_sqlite() {
    an_order_goes_its_way(Shop::open().await).await;
}

#[tokio::test]
async fn an_order_that_fails_is_cancelled_with_the_reason_and_others_hear_of_it() {
    let shop = Shop::open().await;
    let who = customer(1);
    let failed = shop.order(who, "failed").await;
    let reason = "Your card was declined.".to_owned();
    shop.say(failed, PaymentFailed { order_id: failed, reason }).await;
    let short = shop.order(who, "short").await;
    let reason = "Sold out.".to_owned();
    shop.say(short, StockRejected { order_id: short, reason, shortages: Vec::new() }).await;
    for (id, reason) in [(failed, "Your card was declined."), (short, "Sold out.")] {
        let heard = shop.hears("order.cancelled", id).await;
        let Body::OrderCancelled(cancelled) = heard.body else { panic!() };
        assert_eq!(cancelled.reason, reason);
        let (_, order) = shop.get(who, &format!("/orders/{id}")).await;
        let (state, payment) = (&order["state"], &order["payment"]["state"]);
        assert_eq!((state, payment), (&json!("cancelled"), &json!("failed")));
        assert_eq!(order["reason"], reason);
    }
}

#[tokio::test]
async fn a_paid_order_that_is_cancelled_is_refunded() {
    let shop = Shop::open().await;
    let who = customer(1);
    let id = shop.order(who, "key").await;
    shop.say(id, succeeded(id)).await;
    let order = shop.until(who, id, |order| order["state"] == "paid").await;
    assert_eq!(states(&order), ["placed", "reserved", "paid"]);
    let cancel = format!("/orders/{id}/cancel");
    assert_eq!(shop.post(customer(2), &cancel).await.0, 404, "not theirs");
    assert_eq!(shop.get(customer(2), &format!("/orders/{id}")).await.0, 404);
    for _ in 0..2 {
        let (status, cancelled) = shop.post(who, &cancel).await;
        assert_eq!((status, &cancelled["order"]["state"]), (202, &json!("cancelled")));
        assert_eq!(cancelled["order"]["reason"], "You cancelled this order.");
    }
    shop.hears("order.cancelled", id).await;
    shop.say(id, refunded(id)).await;
    let order = shop.until(who, id, |order| order["payment"]["state"] == "refunded").await;
    assert_eq!(states(&order), ["placed", "reserved", "paid", "cancelled"]);
}

#[tokio::test]
async fn the_same_key_gets_the_same_answer_and_another_request_is_refused() {
    let shop = Shop::open().await;
    let who = customer(1);
    shop.put(who, "tea", 2).await;
    let first = shop.check_out(who, "key", request()).await;
    assert_eq!(first.0, 202, "{}", first.1);
    let mut again = request();
    again["payment"]["token"] = json!("tok_2");
    assert_eq!(shop.check_out(who, "key", again).await, first, "the same card has a new token");
    let mut other = request();
    other["address"]["city"] = json!("Galway");
    let (status, refused) = shop.check_out(who, "key", other).await;
    assert_eq!((status, &refused["error"]["code"]), (422, &json!("idempotency_key_reused")));
    let (status, empty) = shop.check_out(who, "other", request()).await;
    assert_eq!((status, &empty["error"]["code"]), (422, &json!("cart_empty")));
    shop.put(who, "tea", 1).await;
    assert_eq!(shop.check_out(who, "other", request()).await.0, 422, "that was the answer");
    assert_eq!(shop.check_out(customer(2), "key", request()).await.0, 422, "another's key");
    assert_eq!(shop.get(who, "/orders").await.1["items"].as_array().unwrap().len(), 1);
}

/// One cart, two keys, each sent ten times at once.
async fn many_at_once_make_one_order(shop: Shop) {
    let who = customer(1);
    shop.put(who, "tea", 2).await;
    let sent = (0..20).map(|at| shop.check_out(who, ["a", "b"][at % 2], request()));
    let answers = futures_util::future::join_all(sent).await;
    let orders: BTreeSet<String> = answers
        .iter()
        .filter(|(status, _)| *status == 202)
        .map(|(_, body)| body["order"]["id"].to_string())
        .collect();
    assert_eq!(orders.len(), 1, "{answers:?}");
    assert!(answers.iter().all(|(status, _)| matches!(status, 202 | 409 | 422)), "{answers:?}");
    assert_eq!(shop.get(who, "/orders").await.1["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn many_at_once_make_one_order_on_sqlite() {
    many_at_once_make_one_order(Shop::open().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_go_their_way_and_many_at_once_make_one_on_postgres() {
    let engine = tokio::task::spawn_blocking(Engine::postgres).await.unwrap().unwrap();
    an_order_goes_its_way(Shop::open_on(Some(engine.url())).await).await;
    let engine = tokio::task::spawn_blocking(Engine::postgres).await.unwrap().unwrap();
    many_at_once_make_one_order(Shop::open_on(Some(engine.url())).await).await;
}

#[tokio::test]
async fn what_failed_for_the_moment_may_be_tried_again_with_the_same_key() {
    let shop = Shop::open().await;
    let who = customer(1);
    shop.put(who, "cup", 3).await;
    shop.shelf.lock().unwrap().insert("cup".into(), (1_290, 2));
    let (status, short) = shop.check_out(who, "key", request()).await;
    assert_eq!((status, &short["error"]["code"]), (409, &json!("out_of_stock")));
    assert_eq!(short["error"]["message"], "Only 2 left of A cup.");
    shop.shelf.lock().unwrap().insert("cup".into(), (1_390, 3));
    let (status, placed) = shop.check_out(who, "key", request()).await;
    assert_eq!((status, &placed["order"]["total"]), (202, &json!(4_170)), "at the price of now");
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused_with_a_reason() {
    let shop = Shop::open().await;
    let who = customer(1);
    shop.put(who, "tea", 1).await;
    let changed = |path: &str, value: Value| {
        let mut body = request();
        *body.pointer_mut(path).unwrap() = value;
        body
    };
    let mut card = request();
    card["payment"]["card_number"] = json!("4242424242424242");
    for (code, body) in [
        ("token_invalid", changed("/payment/token", json!(""))),
        ("token_invalid", changed("/payment/last4", json!("42424"))),
        ("address_invalid", changed("/address/city", json!(" "))),
        ("address_invalid", changed("/address/street", json!("\u{0}"))),
        ("unprocessable", changed("/address/country", json!(7))),
        ("unprocessable", card),
    ] {
        let (status, answer) = shop.check_out(who, "key", body).await;
        assert_eq!((status, &answer["error"]["code"]), (422, &json!(code)), "{answer}");
    }
    for key in [None, Some(""), Some("a b")] {
        let sent = shop.keyed(who, Method::POST, "/orders", Some(request()), key).await;
        let (status, answer) = shop::answer(sent).await;
        assert_eq!((status, &answer["error"]["code"]), (400, &json!("idempotency_key_missing")));
    }
    for (expected, path) in [
        (400, "/orders/nothing"),
        (404, "/orders/00000000-0000-0000-0000-000000000000"),
        (422, "/orders?limit=0"),
        (422, "/orders?limit=51"),
        (400, "/orders?cursor=x"),
        (400, "/orders?colour=blue"),
    ] {
        assert_eq!(shop.get(who, path).await.0, expected, "{path}");
    }
    assert_eq!(shop.get(who, "/orders").await.1, json!({"items": [], "next": null}));
}

#[tokio::test]
async fn orders_are_listed_page_by_page_the_newest_first() {
    let shop = Shop::open().await;
    let mut placed = Vec::new();
    for number in 0..5 {
        placed.push(shop.order(customer(1), &format!("key-{number}")).await.to_string());
    }
    shop.order(customer(2), "theirs").await;
    placed.reverse();
    let (mut path, mut seen) = ("/orders?limit=2".to_owned(), Vec::new());
    loop {
        let (_, page) = shop.get(customer(1), &path).await;
        let id = |order: &Value| order["id"].as_str().unwrap().to_owned();
        seen.extend(page["items"].as_array().unwrap().iter().map(id));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/orders?limit=2&cursor={next}");
    }
    assert_eq!(seen, placed);
}

#[tokio::test]
async fn the_document_and_the_routes_agree() {
    let shop = Shop::open().await;
    assert_eq!(disagreements(&shop.service).await.unwrap(), Vec::<String>::new());
}
