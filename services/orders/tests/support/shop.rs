//! The service on free ports, with the services it asks beside it, and a place on the bus from which the others speak.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use services_kit::bus::{self, Bus, Delivery, Message, Receiver, Verdict};
use services_kit::events::{Body, Event};
use services_kit::identity::IDENTITY;
use services_kit::{Kit, Options, Peer, Running};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use url::Url;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(60);

/// What is on the shelves: id, price, available.
pub(crate) type Shelf = Arc<Mutex<HashMap<String, (i64, i64)>>>;

pub(crate) struct Shop {
    pub(crate) service: Running,
    pub(crate) shelf: Shelf,
    _data: TempDir,
    bus: Arc<dyn Bus>,
    heard: tokio::sync::Mutex<mpsc::Receiver<Event>>,
    listening: CancellationToken,
    client: Client,
}

/// Who asks.
#[derive(Clone, Copy, Default)]
pub(crate) struct Who {
    pub(crate) customer: Option<Uuid>,
    pub(crate) session: Option<Uuid>,
}

pub(crate) fn customer(id: u128) -> Who {
    Who { customer: Some(Uuid::from_u128(id)), session: None }
}

pub(crate) fn visit(id: u128) -> Who {
    Who { customer: None, session: Some(Uuid::from_u128(id)) }
}

struct Ear(mpsc::Sender<Event>);

#[async_trait]
impl Receiver for Ear {
    async fn receive(&self, delivery: Delivery) -> Verdict {
        self.0.send(Event::decode(&delivery.body).unwrap()).await.ok();
        Verdict::Done
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.listening.cancel();
    }
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::open_on(None).await
    }

    /// With a store in Postgres, where an address is given.
    pub(crate) async fn open_on(database: Option<String>) -> Self {
        let data = tempfile::tempdir().unwrap();
        let shelf = Shelf::default();
        for (id, price, available) in [("tea", 450, 10), ("cup", 1_290, 3), ("pot", 3_990, 0)] {
            shelf.lock().unwrap().insert(id.into(), (price, available));
        }
        let at = |address: SocketAddr| Url::parse(&format!("http://{address}")).unwrap();
        let mut options =
            Options { data: Some(data.path().into()), ..Options::on_free_ports().unwrap() };
        options.peers.inventory_url = at(serve(inventory(shelf.clone())).await);
        options.peers.users_url = at(serve(users()).await);
        let others = Kit::new(Peer::Notifications, options.clone()).unwrap();
        options.database_url = database.map(Into::into);
        let kit = Kit::new(Peer::Orders, options).unwrap();
        let service = services_orders::service(kit).await.unwrap().start().await.unwrap();
        let bus = bus::of(&others).await.unwrap();
        let (ear, heard) = mpsc::channel(1024);
        let listening = CancellationToken::new();
        for queue in ["inventory", "notifications"] {
            let (bus, ear, stop) = (bus.clone(), Arc::new(Ear(ear.clone())), listening.clone());
            tokio::spawn(async move { bus.consume(queue, ear, stop).await });
        }
        let heard = tokio::sync::Mutex::new(heard);
        Self { service, shelf, _data: data, bus, heard, listening, client: Client::new() }
    }

    pub(crate) async fn ask(
        &self,
        who: Who,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Response {
        self.keyed(who, method, path, body, None).await
    }

    pub(crate) async fn keyed(
        &self,
        who: Who,
        method: Method,
        path: &str,
        body: Option<Value>,
        key: Option<&str>,
    ) -> Response {
        let keys = self.service.kit().keys();
        let now = SystemTime::now();
        let identity = keys.sign_visit(Peer::Gateway, who.customer, who.session, now).unwrap();
        let url = format!("http://{}{path}", self.service.public_address);
        let mut request = self.client.request(method, url).header(IDENTITY, identity);
        if let Some(body) = body {
            let json = ("content-type", "application/json");
            request = request.header(json.0, json.1).body(body.to_string());
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        request.send().await.unwrap()
    }

    pub(crate) async fn get(&self, who: Who, path: &str) -> (u16, Value) {
        answer(self.ask(who, Method::GET, path, None).await).await
    }

    pub(crate) async fn post(&self, who: Who, path: &str) -> (u16, Value) {
        answer(self.ask(who, Method::POST, path, None).await).await
    }

    pub(crate) async fn put(&self, who: Who, product: &str, quantity: i64) -> (u16, Value) {
        let path = format!("/cart/items/{product}");
        let body = json!({ "quantity": quantity });
        answer(self.ask(who, Method::PUT, &path, Some(body)).await).await
    }

    pub(crate) async fn check_out(&self, who: Who, key: &str, body: Value) -> (u16, Value) {
        answer(self.keyed(who, Method::POST, "/orders", Some(body), Some(key)).await).await
    }

    /// An order of some tea, placed.
    pub(crate) async fn order(&self, who: Who, key: &str) -> Uuid {
        assert_eq!(self.put(who, "tea", 2).await.0, 200);
        let (status, placed) = self.check_out(who, key, request()).await;
        assert_eq!(status, 202, "{placed}");
        placed["order"]["id"].as_str().unwrap().parse().unwrap()
    }

    /// Says something as another service.
    pub(crate) async fn say(&self, order: Uuid, body: impl Into<Body>) {
        let event = Event::new(order.to_string(), body);
        let message = Message {
            id: event.id.to_string(),
            event_type: event.event_type().name().into(),
            key: event.key.clone(),
            body: event.encode().unwrap(),
        };
        for sent in self.bus.publish(&[&message]).await {
            sent.unwrap();
        }
    }

    /// Waits for the next event of this type about this order.
    pub(crate) async fn hears(&self, name: &str, order: Uuid) -> Event {
        let mut heard = self.heard.lock().await;
        let next = async {
            loop {
                let event = heard.recv().await.unwrap();
                if event.event_type().name() == name && event.key == order.to_string() {
                    return event;
                }
            }
        };
        timeout(PATIENCE, next).await.unwrap_or_else(|_| panic!("nobody said {name}"))
    }

    /// Waits until the order is as it should be.
    pub(crate) async fn until(
        &self,
        who: Who,
        order: Uuid,
        right: impl Fn(&Value) -> bool,
    ) -> Value {
        let looked = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            loop {
                ticks.tick().await;
                let (_, order) = self.get(who, &format!("/orders/{order}")).await;
                if right(&order) {
                    return order;
                }
            }
        };
        timeout(PATIENCE, looked).await.expect("it gets there")
    }
}

pub(crate) async fn answer(response: Response) -> (u16, Value) {
    (response.status().as_u16(), response.json().await.unwrap())
}

pub(crate) fn request() -> Value {
    json!({
        "payment": {"token": "tok_1", "last4": "4242"},
        "address": {"street": "1 Main Street", "city": "Cork", "postcode": "T12 X", "country": "Ireland"},
    })
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

fn users() -> Router {
    let me = || async { Json(json!({"email": "ada@example.org", "name": "Ada", "address": null})) };
    Router::new().route("/customers/me", get(me))
}

fn inventory(shelf: Shelf) -> Router {
    Router::new().route("/products:batch", post(batch)).with_state(shelf)
}

async fn batch(State(shelf): State<Shelf>, Json(asked): Json<Value>) -> Json<Value> {
    let shelf = shelf.lock().unwrap();
    let product = |id: &Value| {
        let id = id.as_str()?;
        let (price, available) = shelf.get(id)?;
        Some(json!({
            "id": id, "sku": id.to_uppercase(), "name": format!("A {id}"), "category": "kitchen",
            "category_name": "Kitchen", "price": price, "currency": "EUR",
            "picture": format!("/pictures/{id}.svg"), "available": available,
        }))
    };
    let items: Vec<Value> = asked["ids"].as_array().unwrap().iter().filter_map(product).collect();
    Json(json!({ "items": items }))
}
