//! Light traffic: a customer who orders one thing after the other through the gateway.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use services_trials::visitor::Visitor;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio::time::interval;

use crate::scene::client;

const BETWEEN_ORDERS: Duration = Duration::from_millis(250);
/// Orders that go through, at the least, while anything is watched here.
const FEW: u32 = 20;
/// What is sold out; and services that are too slow, as on a machine that others use as well.
const MAY_HAPPEN: [u16; 3] = [409, 503, 504];

pub(crate) struct Customer {
    leaving: oneshot::Sender<()>,
    /// Orders that went through.
    orders: JoinHandle<u32>,
}

impl Customer {
    /// Registers, and goes on ordering until told to leave.
    pub(crate) async fn arrive(door: SocketAddr) -> Self {
        let (door, alone) = (format!("http://{door}"), Arc::new(Semaphore::new(1)));
        let visitor = Visitor::register(client(), door, alone, "ada@example.com").await.unwrap();
        let page = "/api/products?limit=24";
        let products = visitor.ask(Method::GET, page, &Value::Null, None).await.unwrap();
        let products = products["items"].as_array().unwrap().iter();
        let products = products.map(|one| one["id"].as_str().unwrap().to_owned()).collect();
        let (leaving, told) = oneshot::channel();
        Self { leaving, orders: tokio::spawn(shop(visitor, products, told)) }
    }

    /// Leaves; fails when an order met anything but success and what may happen, or when few went through.
    pub(crate) async fn leave(self) {
        self.leaving.send(()).unwrap();
        let orders = self.orders.await.unwrap();
        assert!(orders >= FEW, "{orders} orders went through");
    }
}

async fn shop(visitor: Visitor, products: Vec<String>, mut told: oneshot::Receiver<()>) -> u32 {
    let (mut pauses, mut orders) = (interval(BETWEEN_ORDERS), 0);
    for (product, number) in products.iter().cycle().zip(0..) {
        tokio::select! {
            _ = &mut told => break,
            _ = pauses.tick() => orders += u32::from(order(&visitor, product, number).await),
        }
    }
    orders
}

/// Whether it went through.
async fn order(visitor: &Visitor, product: &str, number: u32) -> bool {
    let (item, one) = (format!("/api/cart/items/{product}"), json!({ "quantity": 1 }));
    let checkout = json!({
        "payment": {
            "card_number": "4242424242424242", "expiry": "12/39", "cvc": "123", "holder": "Ada",
        },
        "address": {
            "street": "Long Lane 1", "city": "Vienna", "postcode": "1010", "country": "AT",
        },
    });
    let key = format!("key-{number}");
    let put = visitor.ask(Method::PUT, &item, &one, None).await;
    let ordered = match put {
        Ok(_) => visitor.ask(Method::POST, "/api/orders", &checkout, Some(&key)).await,
        refused => refused,
    };
    match ordered {
        Ok(_) => true,
        Err(refused) => {
            assert!(MAY_HAPPEN.contains(&refused.status), "{refused}");
            false
        }
    }
}
