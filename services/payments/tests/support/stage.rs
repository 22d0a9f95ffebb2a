//! A stage for one service: a directory and a bus of its own, on which the test plays `orders`.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may fail the test, and not every test needs all of them"
)]

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;
use services_kit::bus::{Bus, Delivery, Message, Receiver, Verdict};
use services_kit::events::{Body, Customer, Event};
use services_kit::{Kit, Options, Peer, Running, bus, identity};
use tempfile::TempDir;
use tokio::sync::mpsc::{Receiver as Heard, Sender, channel};
use tokio::time::{interval, timeout};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(60);

/// The directory, the bus and what `orders` hears on it.
pub struct Stage {
    pub data: TempDir,
    kit: Kit,
    bus: Arc<dyn Bus>,
    heard: Heard<Event>,
    told: Mutex<HashSet<Uuid>>,
}

struct Ear(Sender<Event>);

#[async_trait]
impl Receiver for Ear {
    async fn receive(&self, delivery: Delivery) -> Verdict {
        self.0.try_send(Event::decode(&delivery.body).unwrap()).unwrap();
        Verdict::Done
    }
}

impl Stage {
    pub async fn open() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let data = tempfile::tempdir().unwrap();
        let kit = Kit::new(Peer::Orders, options(&data)).unwrap();
        let bus = bus::of(&kit).await.unwrap();
        let (ear, heard) = channel(256);
        let (listening, stopping) = (Arc::clone(&bus), kit.stopping().clone());
        tokio::spawn(
            async move { listening.consume("orders", Arc::new(Ear(ear)), stopping).await },
        );
        Self { data, kit, bus, heard, told: Mutex::default() }
    }

    pub fn options(&self) -> Options {
        options(&self.data)
    }

    /// Publishes what happened to an order.
    pub async fn tell(&self, order: Uuid, body: impl Into<Body>) -> Event {
        let event = Event::new(order.to_string(), body);
        self.tell_again(&event).await;
        event
    }

    pub async fn tell_again(&self, event: &Event) {
        self.told.lock().unwrap().insert(event.id);
        let message = Message {
            id: event.id.to_string(),
            event_type: event.event_type().name().to_owned(),
            key: event.key.clone(),
            body: event.encode().unwrap(),
        };
        for published in self.bus.publish(&[&message]).await {
            published.unwrap();
        }
    }

    /// The next event that `orders` hears from another.
    pub async fn hear(&mut self) -> Body {
        loop {
            let heard = timeout(PATIENCE, self.heard.recv()).await;
            let event = heard.expect("something is told").unwrap();
            if !self.told.lock().unwrap().contains(&event.id) {
                return event.body;
            }
        }
    }

    /// A request on behalf of a customer.
    pub fn request(
        &self,
        method: Method,
        running: &Running,
        path: &str,
        customer: Uuid,
    ) -> RequestBuilder {
        let keys = running.kit().keys();
        let identity = keys.sign(Peer::Gateway, Some(customer), SystemTime::now()).unwrap();
        let url = format!("http://{}{path}", running.public_address);
        Client::new().request(method, url).header(identity::IDENTITY, identity)
    }

    pub async fn get(&self, running: &Running, path: &str, customer: Uuid) -> (u16, Value) {
        answer(self.request(Method::GET, running, path, customer)).await
    }
}

/// Status and body; an empty body is null.
pub async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() })
}

/// Waits until the service serves this series with this value.
pub async fn until_metric(running: &Running, line: &str) {
    let url = format!("http://{}/metrics", running.admin_address);
    let mut text = String::new();
    let seen = timeout(PATIENCE, async {
        let mut ticks = interval(Duration::from_millis(10));
        loop {
            ticks.tick().await;
            text = reqwest::get(&url).await.unwrap().text().await.unwrap();
            if text.lines().any(|served| served == line) {
                return;
            }
        }
    });
    let seen = seen.await.is_ok();
    assert!(seen, "{line} is not in\n{text}");
}

pub fn customer(id: Uuid) -> Customer {
    Customer { id, email: "ada@example.org".into(), name: "Ada".into() }
}

fn options(data: &TempDir) -> Options {
    Options { data: Some(data.path().into()), ..Options::on_free_ports().unwrap() }
}
