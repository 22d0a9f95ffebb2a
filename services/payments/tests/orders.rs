//! What becomes of the payment of an order, through events, on both kinds of store.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may fail the test"
)]

#[path = "support/stage.rs"]
mod stage;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Method;
use serde_json::{Value, json};
use services_engines::Engine;
use services_kit::events::{Body, OrderCancelled, StockReserved};
use services_kit::{Kit, Options, Peer, Running};
use services_payments::card::Card;
use services_payments::provider::{
    Answer, Charge, Provider, ProviderError, TestProvider, Unaccepted,
};
use tokio::sync::Semaphore;
use tokio::time::{interval, timeout};
use uuid::Uuid;

use stage::{Stage, answer, customer, until_metric};

const PAYS: &str = "4242424242424242";

struct Shop {
    stage: Stage,
    payments: Running,
    ada: Uuid,
}

impl Shop {
    async fn open() -> Self {
        Self::with(|options| options, Arc::new(TestProvider)).await
    }

    async fn with(change: impl FnOnce(Options) -> Options, provider: Arc<dyn Provider>) -> Self {
        let stage = Stage::open().await;
        let kit = Kit::new(Peer::Payments, change(stage.options())).unwrap();
        let service = services_payments::with_provider(kit, provider).await.unwrap();
        Self { stage, payments: service.start().await.unwrap(), ada: Uuid::new_v4() }
    }

    async fn token(&self, number: &str) -> String {
        let card = json!({"card_number": number, "expiry": "12/99", "cvc": "123", "holder": "Ada"});
        let request = self.stage.request(Method::POST, &self.payments, "/tokens", self.ada);
        let (status, body) = answer(request.json(&card)).await;
        assert_eq!(status, 201, "{body}");
        body["token"].as_str().unwrap().to_owned()
    }

    fn reserved(&self, order_id: Uuid, token: &str) -> StockReserved {
        StockReserved {
            order_id,
            customer_id: self.ada,
            total: 1_250,
            currency: "EUR".into(),
            payment_token: token.into(),
        }
    }

    fn cancelled(&self, order_id: Uuid) -> OrderCancelled {
        OrderCancelled {
            order_id,
            number: "A-1".into(),
            customer: customer(self.ada),
            total: 1_250,
            currency: "EUR".into(),
            reason: "the customer changed their mind".into(),
        }
    }

    /// An order whose stock is reserved, with a card.
    async fn order(&self, number: &str) -> Uuid {
        let order = Uuid::now_v7();
        let token = self.token(number).await;
        self.stage.tell(order, self.reserved(order, &token)).await;
        order
    }

    async fn payment(&self, order: Uuid) -> Value {
        let path = format!("/payments/{order}");
        let (status, body) = self.stage.get(&self.payments, &path, self.ada).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    /// The payment once nothing is under way any more.
    async fn settled(&self, order: Uuid) -> Value {
        let settled = async {
            let mut ticks = interval(Duration::from_millis(10));
            loop {
                ticks.tick().await;
                let shown = self.payment(order).await;
                if shown["state"] != "pending" && shown["state"] != "refunding" {
                    return shown;
                }
            }
        };
        timeout(Duration::from_secs(60), settled).await.unwrap()
    }

    async fn handled(&self, event: &str, times: u32) {
        let line =
            format!("shop_events_consumed_total{{outcome=\"done\",type=\"{event}\"}} {times}");
        until_metric(&self.payments, &line).await;
    }

    async fn counted(&self, outcome: &str, times: u32) {
        let line = format!("shop_payments_total{{outcome=\"{outcome}\"}} {times}");
        until_metric(&self.payments, &line).await;
    }
}

/// Charged once however often it is asked, given back once however often it is cancelled.
async fn paid_and_refunded(shop: &mut Shop) {
    let (order, token) = (Uuid::now_v7(), shop.token(PAYS).await);
    let asked = shop.stage.tell(order, shop.reserved(order, &token)).await;
    let Body::PaymentSucceeded(paid) = shop.stage.hear().await else { panic!("it is paid") };
    assert_eq!((paid.order_id, paid.amount, paid.currency.as_str()), (order, 1_250, "EUR"));
    let shown = shop.payment(order).await;
    assert_eq!((&shown["state"], &shown["last4"]), (&json!("succeeded"), &json!("4242")));
    // The same event, and another that says the same.
    shop.stage.tell_again(&asked).await;
    shop.stage.tell(order, shop.reserved(order, &token)).await;
    shop.handled("stock.reserved", 2).await;
    for _ in 0..2 {
        shop.stage.tell(order, shop.cancelled(order)).await;
    }
    let Body::PaymentRefunded(back) = shop.stage.hear().await else { panic!("it is given back") };
    assert_eq!((back.payment_id, back.amount), (paid.payment_id, 1_250));
    shop.handled("order.cancelled", 2).await;
    assert_eq!(shop.payment(order).await["state"], "refunded");
    shop.counted("succeeded", 1).await;
    shop.counted("refunded", 1).await;
}

#[tokio::test]
async fn an_order_is_charged_once_and_refunded_once() {
    paid_and_refunded(&mut Shop::open().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_charged_once_and_refunded_once_on_postgres() {
    let engine = tokio::task::spawn_blocking(Engine::postgres).await.unwrap().unwrap();
    let url = engine.url();
    let on_postgres = |options| Options { database_url: Some(url.into()), ..options };
    paid_and_refunded(&mut Shop::with(on_postgres, Arc::new(TestProvider)).await).await;
}

#[tokio::test]
async fn a_card_that_does_not_pay_fails_the_order_with_the_reason() {
    let mut shop = Shop::open().await;
    for (number, reason, outcome) in [
        ("4000000000000002", "the card was declined", "declined"),
        ("4000000000009995", "the card has insufficient funds", "declined"),
        ("4000000000000119", "the payment provider does not answer", "failed"),
    ] {
        let order = shop.order(number).await;
        let Body::PaymentFailed(failed) = shop.stage.hear().await else { panic!("{number} fails") };
        assert_eq!((failed.order_id, failed.reason.as_str()), (order, reason));
        let shown = shop.settled(order).await;
        assert_eq!((&shown["state"], &shown["reason"]), (&json!("failed"), &json!(reason)));
        // Orders cancels what could not be paid: there is nothing to give back.
        shop.stage.tell(order, shop.cancelled(order)).await;
        shop.counted(outcome, if number == "4000000000009995" { 2 } else { 1 }).await;
    }
    shop.handled("order.cancelled", 3).await;
    shop.counted("refunded", 0).await;
}

#[tokio::test]
async fn a_token_pays_for_one_order_of_its_own_customer() {
    let mut shop = Shop::open().await;
    let token = shop.token(PAYS).await;
    let order = Uuid::now_v7();
    let strange = StockReserved { customer_id: Uuid::new_v4(), ..shop.reserved(order, &token) };
    shop.stage.tell(order, strange).await;
    assert!(matches!(shop.stage.hear().await, Body::PaymentFailed(_)), "another's token");
    let order = Uuid::now_v7();
    shop.stage.tell(order, shop.reserved(order, &token)).await;
    assert!(matches!(shop.stage.hear().await, Body::PaymentSucceeded(_)));
    let order = Uuid::now_v7();
    shop.stage.tell(order, shop.reserved(order, &token)).await;
    assert!(matches!(shop.stage.hear().await, Body::PaymentFailed(_)), "a used token");
}

#[tokio::test]
async fn a_reservation_that_comes_after_the_cancellation_is_not_charged() {
    let mut shop = Shop::open().await;
    let (order, token) = (Uuid::now_v7(), shop.token(PAYS).await);
    shop.stage.tell(order, shop.cancelled(order)).await;
    shop.stage.tell(order, shop.reserved(order, &token)).await;
    shop.handled("stock.reserved", 1).await;
    let other = shop.order(PAYS).await;
    let Body::PaymentSucceeded(paid) = shop.stage.hear().await else { panic!("the other is paid") };
    assert_eq!(paid.order_id, other);
    assert_eq!(shop.payment(order).await["state"], "void");
}

#[tokio::test]
async fn others_do_not_see_that_there_is_a_payment() {
    let mut shop = Shop::open().await;
    let order = shop.order(PAYS).await;
    shop.stage.hear().await;
    let (status, other) =
        shop.stage.get(&shop.payments, &format!("/payments/{order}"), Uuid::new_v4()).await;
    let nothing = format!("/payments/{}", Uuid::new_v4());
    let (none, _) = shop.stage.get(&shop.payments, &nothing, shop.ada).await;
    assert_eq!((status, none), (404, 404), "{other}");
}

/// Fails as often as it is told to, answers when it is let, and writes down the keys it was asked with.
struct Moody {
    fails: AtomicU32,
    lets: Semaphore,
    charges: Mutex<Vec<Uuid>>,
    refunds: Mutex<Vec<Uuid>>,
}

impl Moody {
    fn new(fails: u32, lets: usize) -> Arc<Self> {
        let (charges, refunds) = (Mutex::default(), Mutex::default());
        Arc::new(Self { fails: fails.into(), lets: Semaphore::new(lets), charges, refunds })
    }

    fn fail(&self) -> Result<(), ProviderError> {
        let fails = self.fails.try_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        if fails.is_ok() { Err(ProviderError("moody".into())) } else { Ok(()) }
    }
}

#[async_trait]
impl Provider for Moody {
    async fn keep(&self, _: &Card) -> Result<String, Unaccepted> {
        Ok("kept".into())
    }

    async fn charge(&self, charge: &Charge) -> Result<Answer, ProviderError> {
        self.charges.lock().unwrap().push(charge.key);
        self.lets.acquire().await.unwrap().forget();
        self.fail().map(|()| Answer::Charged)
    }

    async fn refund(&self, key: Uuid) -> Result<(), ProviderError> {
        self.refunds.lock().unwrap().push(key);
        self.fail()
    }
}

#[tokio::test]
async fn a_provider_that_fails_is_asked_again_under_the_same_key() {
    let provider = Moody::new(2, 10);
    let mut shop = Shop::with(|options| options, provider.clone()).await;
    let order = shop.order(PAYS).await;
    let Body::PaymentSucceeded(paid) = shop.stage.hear().await else { panic!("it is paid") };
    assert_eq!(*provider.charges.lock().unwrap(), [paid.payment_id; 3]);
    provider.fails.store(2, Ordering::SeqCst);
    shop.stage.tell(order, shop.cancelled(order)).await;
    assert!(matches!(shop.stage.hear().await, Body::PaymentRefunded(_)));
    assert_eq!(*provider.refunds.lock().unwrap(), [paid.payment_id; 3]);
}

#[tokio::test]
async fn an_order_that_is_cancelled_while_the_provider_is_asked_gets_its_money_back() {
    let provider = Moody::new(0, 0);
    let mut shop = Shop::with(|options| options, provider.clone()).await;
    let order = shop.order(PAYS).await;
    shop.handled("stock.reserved", 1).await;
    while provider.charges.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    shop.stage.tell(order, shop.cancelled(order)).await;
    shop.handled("order.cancelled", 1).await;
    provider.lets.add_permits(1);
    let Body::PaymentRefunded(back) = shop.stage.hear().await else { panic!("it is given back") };
    assert_eq!(*provider.refunds.lock().unwrap(), [back.payment_id]);
    assert_eq!(provider.charges.lock().unwrap().len(), 1);
}

/// Every answer is lost: the card may have been charged each time, or never.
#[tokio::test]
async fn a_charge_that_is_given_up_is_taken_back_whether_there_was_one_or_not() {
    let provider = Moody::new(5 + 1, 20);
    let mut shop = Shop::with(|options| options, provider.clone()).await;
    let order = shop.order(PAYS).await;
    let Body::PaymentFailed(failed) = shop.stage.hear().await else { panic!("it is given up") };
    assert_eq!(failed.order_id, order);
    shop.stage.tell(order, shop.cancelled(order)).await;
    let shown = shop.settled(order).await;
    assert_eq!(shown["state"], "failed");
    let charges = provider.charges.lock().unwrap().clone();
    assert_eq!(
        (charges.len(), &charges[0].to_string()),
        (5, &shown["payment_id"].as_str().unwrap().to_owned())
    );
    assert_eq!(*provider.refunds.lock().unwrap(), [charges[0]; 2], "until the provider answers");
    shop.counted("failed", 1).await;
    shop.counted("refunded", 0).await;
    let other = shop.order(PAYS).await;
    let Body::PaymentSucceeded(paid) = shop.stage.hear().await else {
        panic!("no word of a refund")
    };
    assert_eq!(paid.order_id, other);
}
