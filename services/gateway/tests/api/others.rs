//! The other services as the gateway meets them, in one place: they answer by the contract, and remember what they
//! were asked.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use services_kit::identity::{IDENTITY, Keys};
use tokio::net::TcpListener;
use url::Url;
use uuid::Uuid;

/// The only customer.
pub(crate) const ADA: Uuid = Uuid::from_u128(7);

/// The only order.
pub(crate) const ORDER: Uuid = Uuid::from_u128(8);

/// What one of them was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) what: String,
    pub(crate) customer: Option<Uuid>,
    pub(crate) session: Option<Uuid>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

#[derive(Clone)]
pub(crate) struct Others(Arc<Inner>);

struct Inner {
    keys: Keys,
    asked: Mutex<Vec<Asked>>,
    /// By hash: whether it is stale.
    sessions: Mutex<HashMap<String, bool>>,
    tokens: AtomicU64,
    down: AtomicBool,
    /// Whether only the orders service is away.
    orderless: AtomicBool,
    /// Whether nothing was learned of what is bought together.
    ignorant: AtomicBool,
}

impl Others {
    /// Serves at the address that is given back.
    pub(crate) async fn start(keys: Keys) -> (Self, Url) {
        let inner = Inner {
            keys,
            asked: Mutex::default(),
            sessions: Mutex::default(),
            tokens: AtomicU64::new(0),
            down: AtomicBool::new(false),
            orderless: AtomicBool::new(false),
            ignorant: AtomicBool::new(false),
        };
        let others = Self(Arc::new(inner));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new().fallback(answer).with_state(others.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        (others, url.parse().unwrap())
    }

    /// All they were asked since the last time, as "METHOD path".
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.0.asked.lock().unwrap())
    }

    /// The one that was asked that.
    pub(crate) fn asked_for(&self, what: &str) -> Asked {
        let asked = self.asked();
        let found = asked.iter().find(|asked| asked.what == what);
        found.unwrap_or_else(|| panic!("nobody was asked {what}, but {asked:#?}")).clone()
    }

    pub(crate) fn go_down(&self) {
        self.0.down.store(true, Ordering::Relaxed);
    }

    pub(crate) fn lose_orders(&self, away: bool) {
        self.0.orderless.store(away, Ordering::Relaxed);
    }

    pub(crate) fn forget_what_goes_together(&self) {
        self.0.ignorant.store(true, Ordering::Relaxed);
    }

    /// Ends all sessions, as a password change elsewhere does.
    pub(crate) fn end_sessions(&self) {
        self.0.sessions.lock().unwrap().clear();
    }

    /// Makes all sessions a day old.
    pub(crate) fn age_sessions(&self) {
        self.0.sessions.lock().unwrap().values_mut().for_each(|stale| *stale = true);
    }

    fn opened(&self) -> Value {
        let token = format!("{:0>43}", self.0.tokens.fetch_add(1, Ordering::Relaxed));
        let hash = digest(&SHA256, token.as_bytes());
        let hash = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        self.0.sessions.lock().unwrap().insert(hash, false);
        json!({ "customer": ada(), "session": { "token": token, "seconds": 1000 } })
    }

    fn session(&self, hash: &str) -> (u16, Value) {
        match self.0.sessions.lock().unwrap().get(hash) {
            Some(stale) => (200, json!({ "customer": ada(), "stale": stale })),
            None => refusal(404, "not_found"),
        }
    }
}

fn refusal(status: u16, code: &str) -> (u16, Value) {
    (status, json!({ "error": { "code": code, "message": "No.", "request_id": "x" } }))
}

fn ada() -> Value {
    json!({ "id": ADA, "email": "ada@example.org", "name": "Ada", "address": null })
}

fn product(id: &str) -> Value {
    json!({
        "id": id, "sku": id.to_uppercase(), "name": "Pot", "category": "kitchen",
        "category_name": "Kitchen", "price": 1250, "currency": "EUR",
        "picture": format!("/pictures/{}.svg", id.to_uppercase()), "available": 3,
        "cost": "nobody's business",
    })
}

fn order() -> Value {
    json!({
        "id": ORDER, "number": "7K3F9-QX2MA", "state": "placed",
        "history": [{ "state": "placed", "at": "2026-11-21T10:00:00Z" }],
        "items": [{
            "product": { "id": "kit-101", "name": "Pot", "picture": "/p.svg", "price": 1250 },
            "quantity": 2, "line_total": 2500,
        }],
        "total": 2500, "currency": "EUR", "payment": { "last4": "4242", "state": "pending" },
        "address": { "street": "Alder Lane 1", "city": "Cork", "postcode": "T12", "country": "IE" },
    })
}

async fn answer(
    State(others): State<Others>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let identity = headers[IDENTITY].to_str().unwrap();
    let claims = others.0.keys.verify(identity, SystemTime::now()).unwrap();
    assert_eq!(claims.issuer, "gateway");
    let what = format!("{method} {}", uri.path_and_query().unwrap());
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (customer, session) = (claims.customer, claims.session);
    let of_orders = ["cart", "orders"].contains(&uri.path().split('/').nth(1).unwrap());
    let orderless = of_orders && others.0.orderless.load(Ordering::Relaxed);
    let (status, answer) = if orderless || others.0.down.load(Ordering::Relaxed) {
        refusal(503, "unavailable")
    } else {
        others.answer(&what, customer, session, &body)
    };
    others.0.asked.lock().unwrap().push(Asked { what, customer, session, headers, body });
    let status = StatusCode::from_u16(status).unwrap();
    match answer {
        Value::String(text) => (status, text).into_response(),
        Value::Null => status.into_response(),
        json => (status, axum::Json(json)).into_response(),
    }
}

impl Others {
    fn answer(
        &self,
        what: &str,
        customer: Option<Uuid>,
        session: Option<Uuid>,
        body: &Value,
    ) -> (u16, Value) {
        let (method, path) = what.split_once(' ').unwrap();
        let path = path.split('?').next().unwrap();
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let together = json!([
            { "item": "kit-103", "score": 2, "reason": "bought-together" },
            { "item": "kit-102", "score": 1, "reason": "popular" },
        ]);
        let lines = [json!({ "product": product("kit-101"), "quantity": 2, "line_total": 2500 })];
        match (method, parts.as_slice()) {
            ("POST", ["customers"]) => match body["email"].as_str() {
                Some("taken@example.org") => refusal(409, "email_taken"),
                _ => (201, self.opened()),
            },
            ("POST", ["sign-in"]) => match body["password"].as_str() {
                Some("correct horse") => (200, self.opened()),
                _ => refusal(401, "wrong_credentials"),
            },
            ("POST", ["sessions"]) => (201, self.opened()),
            ("GET", ["sessions", hash]) => self.session(hash),
            ("DELETE", ["sessions", hash]) => {
                self.0.sessions.lock().unwrap().remove(*hash);
                (204, Value::Null)
            }
            ("GET" | "PATCH", ["customers", "me"]) if customer.is_some() => (200, ada()),
            ("POST", ["customers", "me", "password"]) if customer.is_some() => {
                self.end_sessions();
                (200, self.opened())
            }
            ("GET", ["products"]) => {
                let all: Vec<Value> = ["kit-101", "kit-102", "kit-103"].map(product).into();
                (200, json!({ "items": all, "next": null }))
            }
            ("POST", ["products:batch"]) => {
                let ids = body["ids"].as_array().unwrap().iter();
                let found = ids.map(|id| product(id.as_str().unwrap())).collect::<Vec<_>>();
                (200, json!({ "items": found }))
            }
            ("GET", ["products", "kit-101"]) => {
                let mut described = product("kit-101");
                described["description"] = "A pot.".into();
                (200, described)
            }
            ("GET", ["categories"]) => {
                (200, json!({ "items": [{ "id": "kitchen", "name": "Kitchen", "count": 3 }] }))
            }
            ("GET", ["pictures", "KIT-101.svg"]) => (200, "<svg/>".into()),
            ("GET", ["recommendations", _]) => {
                let learned =
                    if self.0.ignorant.load(Ordering::Relaxed) { json!([]) } else { together };
                (200, json!({ "item": "kit-101", "recommendations": learned }))
            }
            ("GET", ["cart", "count"]) if customer.or(session).is_some() => {
                (200, json!({ "items": 2 }))
            }
            ("GET", ["cart"]) | ("PUT", ["cart", "items", _]) if customer.or(session).is_some() => {
                (200, json!({ "items": lines, "total": 2500, "currency": "EUR" }))
            }
            ("POST", ["cart", "merge"]) if customer.and(session).is_some() => {
                (200, json!({ "items": 2 }))
            }
            ("POST", ["tokens"]) => match body["card_number"].as_str() {
                Some("4242424242424242") => (201, json!({ "token": "tok", "last4": "4242" })),
                _ => refusal(422, "card_invalid"),
            },
            ("POST", ["orders"]) if customer.is_some() => (202, json!({ "order": order() })),
            ("GET", ["orders"]) => (200, json!({ "items": [order()], "next": null })),
            ("GET", ["orders", id]) if *id == ORDER.to_string() => (200, order()),
            ("POST", ["orders", id, "cancel"]) if *id == ORDER.to_string() => {
                (202, json!({ "order": order() }))
            }
            ("GET", ["mailbox"]) => (
                200,
                json!({ "items": [{
                "id": ORDER, "subject": "Thanks", "body_text": "Thanks.",
                "at": "2026-11-21T10:00:00Z", "order_id": ORDER, "read": false,
            }] }),
            ),
            ("POST", ["mailbox", id, "read"]) if *id == ORDER.to_string() => (204, Value::Null),
            _ => refusal(404, "not_found"),
        }
    }
}
