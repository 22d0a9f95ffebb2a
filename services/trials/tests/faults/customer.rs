//! Light traffic: a customer who orders one thing after the other through the gateway, as the storefront page does.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::interval;

use crate::scene::client;

const BETWEEN_ORDERS: Duration = Duration::from_millis(250);
/// Orders that go through, at the least, while anything is watched here.
const FEW: u32 = 20;

pub(crate) struct Customer {
    leaving: oneshot::Sender<()>,
    /// Orders that went through.
    orders: JoinHandle<u32>,
}

impl Customer {
    /// Registers, and goes on ordering until told to leave.
    pub(crate) async fn arrive(door: SocketAddr) -> Self {
        let (client, token) = (client(), String::new());
        let mut page = Page { door, client, cookies: BTreeMap::new(), token };
        page.renew().await;
        let who =
            json!({ "email": "ada@example.com", "name": "Ada", "password": "not easy at all" });
        let answer = page.ask(Method::POST, "/api/register", &who, "").await;
        assert_eq!(answer.status(), StatusCode::CREATED);
        page.renew().await;
        let products = page.get("/api/products?limit=24").await;
        let products = products["items"].as_array().unwrap().iter();
        let products = products.map(|one| one["id"].as_str().unwrap().to_owned()).collect();
        let (leaving, told) = oneshot::channel();
        Self { leaving, orders: tokio::spawn(page.shop(products, told)) }
    }

    /// Leaves; fails when an order met anything but success and what is sold out.
    pub(crate) async fn leave(self) {
        self.leaving.send(()).unwrap();
        let orders = self.orders.await.unwrap();
        assert!(orders >= FEW, "{orders} orders went through");
    }
}

struct Page {
    door: SocketAddr,
    client: Client,
    /// Their values by name.
    cookies: BTreeMap<String, String>,
    token: String,
}

impl Page {
    async fn shop(mut self, products: Vec<String>, mut told: oneshot::Receiver<()>) -> u32 {
        let (mut pauses, mut orders) = (interval(BETWEEN_ORDERS), 0);
        for (product, number) in products.iter().cycle().zip(0..) {
            tokio::select! {
                _ = &mut told => break,
                _ = pauses.tick() => orders += u32::from(self.order(product, number).await),
            }
        }
        orders
    }

    /// Whether it went through.
    async fn order(&mut self, product: &str, number: u32) -> bool {
        let item = format!("/api/cart/items/{product}");
        let answer = self.ask(Method::PUT, &item, &json!({ "quantity": 1 }), "").await;
        if answer.status() == StatusCode::CONFLICT {
            return false;
        }
        assert_eq!(answer.status(), StatusCode::OK);
        let order = json!({
            "payment": {
                "card_number": "4242424242424242", "expiry": "12/39", "cvc": "123", "holder": "Ada",
            },
            "address": {
                "street": "Long Lane 1", "city": "Vienna", "postcode": "1010", "country": "AT",
            },
        });
        let answer = self.ask(Method::POST, "/api/orders", &order, &format!("key-{number}")).await;
        let taken = [StatusCode::ACCEPTED, StatusCode::CONFLICT];
        assert!(taken.contains(&answer.status()), "{}", answer.status());
        answer.status() == StatusCode::ACCEPTED
    }

    /// The token of the session, which is another one after signing in.
    async fn renew(&mut self) {
        let session = self.get("/api/session").await;
        self.token = session["csrf_token"].as_str().unwrap().to_owned();
    }

    async fn get(&mut self, path: &str) -> Value {
        self.ask(Method::GET, path, &Value::Null, "").await.json().await.unwrap()
    }

    async fn ask(&mut self, method: Method, path: &str, body: &Value, key: &str) -> Response {
        let mut request = self.client.request(method, format!("http://{}{path}", self.door));
        let cookies = self.cookies.iter().filter(|(_, value)| !value.is_empty());
        let cookies: Vec<_> = cookies.map(|(name, value)| format!("{name}={value}")).collect();
        request = request.header(COOKIE, cookies.join("; ")).header("X-CSRF-Token", &self.token);
        if !key.is_empty() {
            request = request.header("Idempotency-Key", key);
        }
        if !body.is_null() {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        for cookie in answer.headers().get_all(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = cookie.split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        answer
    }
}
