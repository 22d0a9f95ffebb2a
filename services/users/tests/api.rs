//! The service as the gateway meets it, over HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may fail the test"
)]

use std::time::SystemTime;

use reqwest::Method;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use services_kit::identity::IDENTITY;
use services_kit::{Kit, Options, Peer, Running};
use tempfile::TempDir;
use uuid::Uuid;

const PASSWORD: &str = "correct horse";

struct Users {
    running: Running,
    data: TempDir,
}

impl Users {
    async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let data = tempfile::tempdir().unwrap();
        let options =
            Options { data: Some(data.path().into()), ..Options::on_free_ports().unwrap() };
        let kit = Kit::new(Peer::Users, options).unwrap();
        let running = services_users::service(kit).await.unwrap().start().await.unwrap();
        Self { running, data }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        customer: Option<Uuid>,
        body: Value,
    ) -> (u16, Value) {
        let keys = self.running.kit().keys();
        let identity = keys.sign(Peer::Gateway, customer, SystemTime::now()).unwrap();
        let url = format!("http://{}{path}", self.running.public_address);
        let request = reqwest::Client::new().request(method, url).header(IDENTITY, identity);
        let request = if body.is_null() { request } else { request.json(&body) };
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.ask(Method::POST, path, None, body).await
    }

    async fn sign_in(&self, email: &str, password: &str) -> (u16, Value) {
        self.post("/sign-in", json!({ "email": email, "password": password })).await
    }

    /// A new customer: their id and token.
    async fn register(&self, email: &str) -> (Uuid, String) {
        let body = json!({ "email": email, "name": "Ada", "password": PASSWORD });
        let (status, answer) = self.post("/customers", body).await;
        assert_eq!(status, 201, "{answer}");
        (id(&answer), token(&answer))
    }

    /// The status of a look at the session with that token.
    async fn session(&self, token: &str) -> (u16, Value) {
        let path = format!("/sessions/{}", hash(token));
        self.ask(Method::GET, &path, None, Value::Null).await
    }

    async fn me(&self, method: Method, customer: Uuid, body: Value) -> (u16, Value) {
        self.ask(method, "/customers/me", Some(customer), body).await
    }
}

fn id(answer: &Value) -> Uuid {
    answer["customer"]["id"].as_str().unwrap().parse().unwrap()
}

fn token(answer: &Value) -> String {
    answer["session"]["token"].as_str().unwrap().to_owned()
}

fn hash(token: &str) -> String {
    digest(&SHA256, token.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn code(answer: &Value) -> &str {
    answer["error"]["code"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn the_routes_and_their_document_agree() {
    let users = Users::start().await;
    let found = services_kit::openapi::disagreements(&users.running).await.unwrap();
    assert_eq!(found, Vec::<String>::new());
    assert!(users.running.stop().await);
}

#[tokio::test]
async fn who_registers_is_signed_in_and_has_the_address_alone() {
    let users = Users::start().await;
    let (id, token) = users.register("Ada@Example.org").await;
    let (status, session) = users.session(&token).await;
    assert_eq!((status, &session["customer"]["id"]), (200, &json!(id)));
    assert_eq!(session["customer"]["email"], "ada@example.org");
    assert_eq!(session["stale"], false);
    let refusals = [
        ("ADA@example.org", "Eve", PASSWORD, 409, "email_taken"),
        ("eve", "Eve", PASSWORD, 422, "invalid_email"),
        ("eve@example.org", " ", PASSWORD, 422, "invalid_name"),
        ("eve@example.org", "Eve", "123456789", 422, "weak_password"),
    ];
    for (email, name, password, expected, why) in refusals {
        let body = json!({ "email": email, "name": name, "password": password });
        let (status, answer) = users.post("/customers", body).await;
        assert_eq!((status, code(&answer)), (expected, why), "{email}");
    }
}

#[tokio::test]
async fn of_many_who_register_one_address_at_once_one_gets_it() {
    let users = Users::start().await;
    let body = json!({ "email": "ada@example.org", "name": "Ada", "password": PASSWORD });
    let four = (0..4).map(|_| users.post("/customers", body.clone()));
    let mut statuses = Vec::new();
    for tried in futures_util::future::join_all(four).await {
        statuses.push(tried.0);
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409]);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_are_refused_alike() {
    let users = Users::start().await;
    let (id_of_ada, _) = users.register("ada@example.org").await;
    let (status, answer) = users.sign_in(" ADA@example.org", PASSWORD).await;
    assert_eq!((status, id(&answer)), (200, id_of_ada));
    let long = "x".repeat(300);
    let tries = [
        ("ada@example.org", "wrong horse"),
        ("eve@example.org", PASSWORD),
        ("no address", PASSWORD),
        ("ada@example.org", &long),
        ("ada@example.org", ""),
    ];
    let mut messages = Vec::new();
    for (email, password) in tries {
        let (status, answer) = users.sign_in(email, password).await;
        assert_eq!((status, code(&answer)), (401, "wrong_credentials"), "{email}");
        messages.push(answer["error"]["message"].clone());
    }
    messages.dedup();
    assert_eq!(messages.len(), 1, "{messages:?}");
}

#[tokio::test]
async fn guessing_ends_after_ten_tries_for_that_account_alone() {
    let users = Users::start().await;
    users.register("ada@example.org").await;
    users.register("eve@example.org").await;
    for _ in 0..9 {
        assert_eq!(users.sign_in("ada@example.org", "wrong horse").await.0, 401);
    }
    // The right one makes the wrong ones forgotten.
    assert_eq!(users.sign_in("ada@example.org", PASSWORD).await.0, 200);
    for _ in 0..10 {
        assert_eq!(users.sign_in("ada@example.org", "wrong horse").await.0, 401);
    }
    let (status, answer) = users.sign_in("ada@example.org", PASSWORD).await;
    assert_eq!((status, code(&answer)), (429, "too_many_tries"));
    assert_eq!(users.sign_in("eve@example.org", PASSWORD).await.0, 200);
}

#[tokio::test]
async fn a_password_change_ends_all_other_sessions() {
    let users = Users::start().await;
    let (id, first) = users.register("ada@example.org").await;
    let second = token(&users.sign_in("ada@example.org", PASSWORD).await.1);
    let change = async |old: &str, new: &str| {
        let body = json!({ "old": old, "new": new });
        users.ask(Method::POST, "/customers/me/password", Some(id), body).await
    };
    let (status, answer) = change("wrong horse", "battery staple").await;
    assert_eq!((status, code(&answer)), (422, "wrong_password"));
    let (status, answer) = change(PASSWORD, "short").await;
    assert_eq!((status, code(&answer)), (422, "weak_password"));
    assert_eq!(users.session(&first).await.0, 200);
    let (status, answer) = change(PASSWORD, "battery staple").await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(users.session(&first).await.0, 404);
    assert_eq!(users.session(&second).await.0, 404);
    assert_eq!(users.session(&token(&answer)).await.0, 200);
    assert_eq!(users.sign_in("ada@example.org", PASSWORD).await.0, 401);
    assert_eq!(users.sign_in("ada@example.org", "battery staple").await.0, 200);
}

#[tokio::test]
async fn a_profile_changes_where_it_is_told_and_nowhere_else() {
    let users = Users::start().await;
    let (id, _) = users.register("ada@example.org").await;
    let (other, _) = users.register("eve@example.org").await;
    let address = json!({
        "street": "Alder Lane 1", "city": "Cork", "postcode": "T12 AB", "country": "Ireland"
    });
    let (status, mut me) = users.me(Method::PATCH, id, json!({ "address": address })).await;
    assert_eq!((status, &me["name"], &me["address"]), (200, &json!("Ada"), &address));
    (_, me) = users.me(Method::PATCH, id, json!({ "name": " Ada L. " })).await;
    assert_eq!((&me["name"], &me["address"]), (&json!("Ada L."), &address));
    for wrong in [
        json!({ "address": { "street": "Alder Lane 1" } }),
        json!({ "address": { "street": "", "city": "C", "postcode": "T12", "country": "I" } }),
        json!({ "name": "a\u{0}b" }),
        json!({ "name": null }),
        json!(["Eve", null]),
        json!({ "email": "eve@example.org" }),
    ] {
        let (status, answer) = users.me(Method::PATCH, id, wrong.clone()).await;
        assert_eq!(status, 422, "{wrong} {answer}");
    }
    (_, me) = users.me(Method::PATCH, id, json!({ "address": null })).await;
    assert_eq!((&me["name"], &me["address"]), (&json!("Ada L."), &Value::Null));
    (_, me) = users.me(Method::GET, other, Value::Null).await;
    assert_eq!((&me["name"], &me["email"]), (&json!("Ada"), &json!("eve@example.org")));
    assert_eq!(users.me(Method::GET, Uuid::now_v7(), Value::Null).await.0, 404);
    assert_eq!(users.ask(Method::GET, "/customers/me", None, Value::Null).await.0, 401);
}

#[tokio::test]
async fn a_session_is_renewed_once_and_ends_when_told() {
    let users = Users::start().await;
    let (id_of_ada, old) = users.register("ada@example.org").await;
    let (status, answer) = users.post("/sessions", json!({ "hash": hash(&old) })).await;
    assert_eq!((status, id(&answer)), (201, id_of_ada));
    let new = token(&answer);
    assert_ne!(new, old);
    // Requests under way still have the old one; it renews nothing any more.
    assert_eq!(users.session(&old).await.0, 200);
    assert_eq!(users.post("/sessions", json!({ "hash": hash(&old) })).await.0, 404);
    for _ in 0..2 {
        let path = format!("/sessions/{}", hash(&new));
        assert_eq!(users.ask(Method::DELETE, &path, None, Value::Null).await.0, 204);
    }
    assert_eq!(users.session(&new).await.0, 404);
    for nonsense in ["x", &new, &"g".repeat(64)] {
        let path = format!("/sessions/{nonsense}");
        assert_eq!(users.ask(Method::GET, &path, None, Value::Null).await.0, 404);
    }
}

#[tokio::test]
async fn neither_password_nor_token_is_in_the_store() {
    let users = Users::start().await;
    let (_, token) = users.register("ada@example.org").await;
    let Users { running, data } = users;
    assert!(running.stop().await);
    let mut seen = 0;
    for file in std::fs::read_dir(data.path()).unwrap() {
        // The last connection to close takes the log and the shared memory beside the store away.
        let Ok(bytes) = std::fs::read(file.unwrap().path()) else { continue };
        let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!has(PASSWORD) && !has(&token));
        seen += usize::from(has("ada@example.org") && has("$argon2id$"));
    }
    assert!(seen > 0, "the store is not where it was looked for");
}

#[tokio::test]
async fn who_is_no_service_of_the_shop_is_told_nothing() {
    let users = Users::start().await;
    let url = format!("http://{}/customers/me", users.running.public_address);
    assert_eq!(reqwest::get(url).await.unwrap().status().as_u16(), 401);
}
