//! What customers find in their mailboxes after events.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may fail the test"
)]

#[path = "../../payments/tests/support/stage.rs"]
mod stage;

use reqwest::Method;
use serde_json::{Value, json};
use services_engines::Engine;
use services_kit::events::{Body, Line, OrderCancelled, OrderPaid, PaymentRefunded};
use services_kit::openapi::disagreements;
use services_kit::{Kit, Options, Peer, Running};
use services_notifications::MailOptions;
use uuid::Uuid;

use stage::{Stage, answer, customer, until_metric};

struct Shop {
    stage: Stage,
    notifications: Running,
    ada: Uuid,
}

impl Shop {
    async fn open() -> Self {
        Self::with(|options| options).await
    }

    async fn with(change: impl FnOnce(Options) -> Options) -> Self {
        let stage = Stage::open().await;
        let kit = Kit::new(Peer::Notifications, change(stage.options())).unwrap();
        let mail = MailOptions { smtp_url: None, from: "Shop <shop@example.org>".parse().unwrap() };
        let service = services_notifications::service(kit, mail).await.unwrap();
        Self { stage, notifications: service.start().await.unwrap(), ada: Uuid::new_v4() }
    }

    fn paid(&self, order_id: Uuid, number: &str) -> OrderPaid {
        let tea =
            Line { product_id: "tea".into(), name: "Tea".into(), quantity: 2, unit_price: 450 };
        OrderPaid {
            order_id,
            number: number.into(),
            customer: customer(self.ada),
            lines: vec![tea],
            total: 900,
            currency: "EUR".into(),
            payment_id: Uuid::nil(),
        }
    }

    fn cancelled(&self, order_id: Uuid) -> OrderCancelled {
        OrderCancelled {
            order_id,
            number: "A-1".into(),
            customer: customer(self.ada),
            total: 900,
            currency: "EUR".into(),
            reason: "it was out of stock".into(),
        }
    }

    async fn mailbox(&self, query: &str) -> Value {
        let path = format!("/mailbox{query}");
        let (status, body) = self.stage.get(&self.notifications, &path, self.ada).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    async fn subjects(&self) -> Vec<String> {
        let mails = self.mailbox("").await;
        let items = mails["items"].as_array().unwrap();
        items.iter().map(|mail| mail["subject"].as_str().unwrap().to_owned()).collect()
    }

    async fn handled(&self, event: &str, times: u32) {
        let line =
            format!("shop_events_consumed_total{{outcome=\"done\",type=\"{event}\"}} {times}");
        until_metric(&self.notifications, &line).await;
    }
}

fn refunded(order_id: Uuid) -> PaymentRefunded {
    PaymentRefunded { order_id, payment_id: Uuid::nil(), amount: 900, currency: "EUR".into() }
}

#[tokio::test]
async fn a_paid_order_is_told_once_and_the_shop_hears_that_it_was() {
    told_once(&mut Shop::open().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paid_order_is_told_once_and_a_refund_after_it_on_postgres() {
    let engine = tokio::task::spawn_blocking(Engine::postgres).await.unwrap().unwrap();
    let url = engine.url();
    let on_postgres = |options| Options { database_url: Some(url.into()), ..options };
    let mut shop = Shop::with(on_postgres).await;
    told_once(&mut shop).await;
    let order = Uuid::now_v7();
    shop.stage.tell(order, refunded(order)).await;
    shop.stage.tell(order, shop.cancelled(order)).await;
    shop.handled("order.cancelled", 1).await;
    let newest = &shop.subjects().await[..2];
    assert_eq!(newest, ["Your refund for order A-1", "Your order A-1 was cancelled"]);
}

async fn told_once(shop: &mut Shop) {
    let order = Uuid::now_v7();
    let event = shop.stage.tell(order, shop.paid(order, "A-1")).await;
    let Body::NotificationSent(sent) = shop.stage.hear().await else { panic!("it is told") };
    assert_eq!((sent.order_id, sent.about.as_str()), (order, "order.paid"));
    // The same event, and another that says the same.
    shop.stage.tell_again(&event).await;
    shop.stage.tell(order, shop.paid(order, "A-1")).await;
    shop.handled("order.paid", 2).await;
    let mails = shop.mailbox("").await;
    assert_eq!(mails["items"].as_array().unwrap().len(), 1);
    let mail = &mails["items"][0];
    assert_eq!(mail["id"], sent.message_id.to_string());
    assert_eq!((&mail["order_id"], &mail["read"]), (&json!(order), &json!(false)));
    assert!(mail["body_text"].as_str().unwrap().contains("Total: 9.00 EUR"), "{mail}");
    until_metric(&shop.notifications, "shop_messages_total{about=\"order.paid\"} 1").await;
}

#[tokio::test]
async fn a_refund_is_told_after_the_cancellation_whichever_comes_first() {
    for refund_first in [false, true] {
        let mut shop = Shop::open().await;
        let order = Uuid::now_v7();
        if refund_first {
            shop.stage.tell(order, refunded(order)).await;
            shop.stage.tell(order, shop.cancelled(order)).await;
        } else {
            shop.stage.tell(order, shop.cancelled(order)).await;
            shop.stage.tell(order, refunded(order)).await;
        }
        let Body::NotificationSent(sent) = shop.stage.hear().await else { panic!("it is told") };
        assert_eq!(sent.about, "order.cancelled");
        shop.handled("payment.refunded", 1).await;
        shop.handled("order.cancelled", 1).await;
        let expected = ["Your refund for order A-1", "Your order A-1 was cancelled"];
        assert_eq!(shop.subjects().await, expected, "refund first: {refund_first}");
    }
}

#[tokio::test]
async fn a_mailbox_is_read_page_by_page_newest_first_by_its_owner_alone() {
    let mut shop = Shop::open().await;
    for number in ["A-1", "A-2", "A-3"] {
        let order = Uuid::now_v7();
        shop.stage.tell(order, shop.paid(order, number)).await;
        shop.stage.hear().await;
    }
    let first = shop.mailbox("?limit=2").await;
    let numbers = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap();
        items.iter().map(|mail| mail["subject"].as_str().unwrap()[11..14].to_owned()).collect()
    };
    assert_eq!(numbers(&first), ["A-3", "A-2"]);
    let cursor = first["next"].as_str().unwrap();
    let second = shop.mailbox(&format!("?limit=2&cursor={cursor}")).await;
    assert_eq!((numbers(&second), &second["next"]), (vec!["A-1".to_owned()], &Value::Null));

    let path = format!("/mailbox/{}/read", first["items"][0]["id"].as_str().unwrap());
    let read = |who| answer(shop.stage.request(Method::POST, &shop.notifications, &path, who));
    let eve = Uuid::new_v4();
    assert_eq!(read(eve).await.0, 404);
    assert_eq!(read(shop.ada).await.0, 204);
    let reads: Vec<bool> = shop.mailbox("").await["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mail| mail["read"].as_bool().unwrap())
        .collect();
    assert_eq!(reads, [true, false, false]);
    let (status, others) = shop.stage.get(&shop.notifications, "/mailbox", eve).await;
    assert_eq!((status, others), (200, json!({"items": []})));
}

#[tokio::test]
async fn bad_requests_are_refused() {
    let shop = Shop::open().await;
    for (expected, path) in [
        (422, "/mailbox?limit=0"),
        (422, "/mailbox?limit=101"),
        (400, "/mailbox?limit=x"),
        (400, "/mailbox?cursor=x"),
        (400, "/mailbox?page=1"),
        (405, "/mailbox/00000000-0000-0000-0000-000000000000/read"),
    ] {
        let (status, body) = shop.stage.get(&shop.notifications, path, shop.ada).await;
        assert_eq!(status, expected, "{path}: {body}");
    }
    let url = format!("http://{}/mailbox", shop.notifications.public_address);
    assert_eq!(answer(reqwest::Client::new().get(url)).await.0, 401);
}

#[tokio::test]
async fn the_document_and_the_routes_agree() {
    let shop = Shop::open().await;
    assert_eq!(disagreements(&shop.notifications).await.unwrap(), Vec::<String>::new());
}
