//! The gateway as browsers meet it, between them and services that answer by the contract.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may fail the test"
)]

#[path = "api/others.rs"]
mod others;

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};
use services_gateway::Settings;
use services_kit::{Kit, Options, Peer, Peers, Running, Switch};

use crate::others::{ADA, ORDER, Others};

struct Shop {
    running: Running,
    others: Others,
}

impl Shop {
    async fn open() -> Self {
        Self::with(Settings::default()).await
    }

    async fn with(settings: Settings) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let key = Some("k".repeat(32).into());
        let options = Options { internal_key: key, ..Options::on_free_ports().unwrap() };
        let keys = Kit::new(Peer::Users, options.clone()).unwrap().keys().clone();
        let (others, url) = Others::start(keys).await;
        let peers = Peers {
            users_url: url.clone(),
            inventory_url: url.clone(),
            orders_url: url.clone(),
            payments_url: url.clone(),
            notifications_url: url.clone(),
            recommendations_url: url,
            ..options.peers.clone()
        };
        let kit = Kit::new(Peer::Gateway, Options { peers, ..options }).unwrap();
        let service = services_gateway::service(kit, settings).await.unwrap();
        Self { running: service.start().await.unwrap(), others }
    }

    fn browser(&self) -> Browser {
        let base = format!("http://{}", self.running.public_address);
        Browser { base, cookie: String::new(), cart: String::new(), csrf: String::new() }
    }

    /// A browser whose user is signed in.
    async fn customer(&self) -> Browser {
        let mut browser = self.browser();
        browser.session().await;
        let (status, _) = browser.sign_in("correct horse").await;
        assert_eq!(status, 200);
        browser.session().await;
        self.others.asked();
        browser
    }
}

/// Keeps the cookie and shows the token, as the page does.
struct Browser {
    base: String,
    cookie: String,
    /// The cookie of a cart that is still to go along.
    cart: String,
    csrf: String,
}

impl Browser {
    async fn send(&mut self, method: Method, path: &str, body: Value) -> Response {
        self.send_with(method, path, body, &[]).await
    }

    async fn send_with(
        &mut self,
        method: Method,
        path: &str,
        body: Value,
        headers: &[(&str, &str)],
    ) -> Response {
        let url = format!("{}{path}", self.base);
        let mut request = reqwest::Client::new().request(method.clone(), url);
        for cookie in [&self.cookie, &self.cart].into_iter().filter(|cookie| !cookie.is_empty()) {
            request = request.header("cookie", cookie);
        }
        if method != Method::GET {
            request = request.header("x-csrf-token", &self.csrf);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = if body.is_null() { request } else { request.json(&body) };
        let answer = request.send().await.unwrap();
        for cookie in answer.headers().get_all("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            assert!(cookie.contains("; HttpOnly; SameSite=Lax; "), "{cookie}");
            let pair = cookie.split(';').next().unwrap().to_owned();
            match pair.strip_prefix("shop_cart=") {
                Some("") => self.cart = String::new(),
                Some(_) => self.cart = pair,
                None => self.cookie = pair,
            }
        }
        answer
    }

    async fn ask(&mut self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let answer = self.send(method, path, body).await;
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    async fn get(&mut self, path: &str) -> (u16, Value) {
        self.ask(Method::GET, path, Value::Null).await
    }

    async fn session(&mut self) -> Value {
        let (status, session) = self.get("/api/session").await;
        assert_eq!(status, 200, "{session}");
        self.csrf = session["csrf_token"].as_str().unwrap().to_owned();
        session
    }

    async fn sign_in(&mut self, password: &str) -> (u16, Value) {
        let body = json!({ "email": "ada@example.org", "password": password });
        self.ask(Method::POST, "/api/sign-in", body).await
    }
}

fn code(answer: &Value) -> &str {
    answer["error"]["code"].as_str().unwrap_or_default()
}

fn checkout(number: &str) -> Value {
    json!({
        "payment": {
            "card_number": number, "expiry": "12/29", "cvc": "123", "holder": "Ada Lovelace"
        },
        "address": { "street": "Alder Lane 1", "city": "Cork", "postcode": "T12", "country": "IE" },
    })
}

#[tokio::test]
async fn the_routes_and_their_document_agree() {
    let shop = Shop::open().await;
    let found = services_kit::openapi::disagreements(&shop.running).await.unwrap();
    assert_eq!(found, Vec::<String>::new());
    assert!(shop.running.stop().await);
}

#[tokio::test]
async fn the_page_and_its_files_are_there_and_are_sent_once() {
    let shop = Shop::open().await;
    let mut browser = shop.browser();
    let page = browser.send(Method::GET, "/", Value::Null).await;
    assert_eq!(page.headers()["cache-control"], "no-cache");
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/page")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    for name in names.filter(|name| name != "index.html") {
        let path = format!("/assets/{name}");
        let file = browser.send(Method::GET, &path, Value::Null).await;
        assert_eq!(file.status().as_u16(), 200, "{name}");
        let tag = file.headers()["etag"].to_str().unwrap().to_owned();
        assert!(!file.bytes().await.unwrap().is_empty());
        let known = [("if-none-match", tag.as_str())];
        let again = browser.send_with(Method::GET, &path, Value::Null, &known).await;
        assert_eq!(again.status().as_u16(), 304, "{name}");
    }
    for nothing in ["/assets/index.html", "/assets/..%2Findex.html", "/assets/x.js", "/index.html"]
    {
        assert_eq!(browser.get(nothing).await.0, 404, "{nothing}");
    }
    assert_eq!(browser.get("/health/live").await.0, 200);
    assert_eq!(browser.get("/health/ready").await.0, 200);
}

#[tokio::test]
async fn nothing_changes_without_the_token_of_the_session() {
    let shop = Shop::open().await;
    let (mut ada, mut eve) = (shop.browser(), shop.browser());
    let put = |browser: Browser| async move {
        let mut browser = browser;
        let path = "/api/cart/items/kit-101";
        let (status, answer) = browser.ask(Method::PUT, path, json!({ "quantity": 1 })).await;
        (status, code(&answer).to_owned())
    };
    let refused = (403, "csrf_token_wrong".to_owned());
    let with = |cookie: &str, csrf: &str| Browser {
        base: format!("http://{}", shop.running.public_address),
        cookie: cookie.to_owned(),
        cart: String::new(),
        csrf: csrf.to_owned(),
    };
    assert_eq!(put(shop.browser()).await, refused);
    ada.session().await;
    eve.session().await;
    assert_eq!(put(with(&ada.cookie, "")).await, refused);
    assert_eq!(put(with(&ada.cookie, &eve.csrf)).await, refused);
    assert_eq!(put(with("", &ada.csrf)).await, refused);
    assert_eq!(put(with(&ada.cookie, &ada.csrf)).await.0, 200);
    let (cookie, csrf) = (ada.cookie.clone(), ada.csrf.clone());
    assert_eq!(ada.sign_in("correct horse").await.0, 200);
    assert_ne!(ada.cookie, cookie, "signing in makes another session");
    // The token of the session before is of no use any more.
    assert_eq!(put(with(&ada.cookie, &csrf)).await, refused);
    ada.session().await;
    assert_eq!(put(with(&ada.cookie, &ada.csrf)).await.0, 200);
}

#[tokio::test]
async fn no_route_that_changes_something_goes_without_the_token() {
    let shop = Shop::open().await;
    let mut ada = shop.customer().await;
    ada.csrf = "x".repeat(43);
    let document = ada.get("/openapi.json").await.1;
    let mut changing = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys().filter(|method| *method != "get") {
            let method: Method = method.to_uppercase().parse().unwrap();
            let path = path.replace("{id}", "1").replace("{product_id}", "1");
            let (status, answer) = ada.ask(method, &path, json!({})).await;
            assert_eq!((status, code(&answer)), (403, "csrf_token_wrong"), "{path}");
            changing += 1;
        }
    }
    assert_eq!(changing, 9);
    assert!(shop.others.asked().is_empty());
}

#[tokio::test]
async fn a_guest_has_a_cart_and_takes_it_along() {
    let shop = Shop::open().await;
    let mut browser = shop.browser();
    let (status, cart) = browser.get("/api/cart").await;
    assert_eq!((status, &cart["total"]), (200, &json!(0)));
    let session = browser.session().await;
    assert_eq!((&session["customer"], &session["cart_items"]), (&Value::Null, &json!(0)));
    let body = json!({ "quantity": 2 });
    let (status, cart) = browser.ask(Method::PUT, "/api/cart/items/kit-101", body).await;
    assert_eq!((status, &cart["total"]), (200, &json!(2500)));
    assert!(cart["items"][0]["product"]["cost"].is_null(), "what is internal gets out");
    let put = shop.others.asked_for("PUT /cart/items/kit-101");
    let visit = put.session.unwrap();
    assert_eq!((put.customer, put.body), (None, json!({ "quantity": 2 })));
    assert_eq!(browser.session().await["cart_items"], 2);
    assert_eq!(browser.sign_in("wrong horse").await.0, 401);
    assert_eq!(browser.sign_in("correct horse").await.0, 200);
    let merge = shop.others.asked_for("POST /cart/merge");
    assert_eq!((merge.customer, merge.session), (Some(ADA), Some(visit)));
    let session = browser.session().await;
    assert_eq!(session["customer"]["name"], "Ada");
    browser.get("/api/cart").await;
    let cart = shop.others.asked_for("GET /cart");
    assert_eq!((cart.customer, cart.session), (Some(ADA), None));
}

#[tokio::test]
async fn registering_signs_in_and_refusals_are_passed_on() {
    let shop = Shop::open().await;
    let mut browser = shop.browser();
    browser.session().await;
    let body = |email: &str| json!({ "email": email, "name": "Ada", "password": "correct horse" });
    let register = browser.ask(Method::POST, "/api/register", body("taken@example.org")).await;
    assert_eq!((register.0, code(&register.1)), (409, "email_taken"));
    assert_eq!(browser.get("/api/profile").await.0, 401);
    let (status, welcome) =
        browser.ask(Method::POST, "/api/register", body("ada@example.org")).await;
    assert_eq!((status, &welcome["customer"]["id"]), (201, &json!(ADA)));
    assert!(welcome["session"].is_null(), "the session is for the cookie alone");
    assert_eq!(browser.get("/api/profile").await.0, 200);
}

#[tokio::test]
async fn a_session_that_ended_is_over_at_once_wherever_it_was_ended() {
    let shop = Shop::open().await;
    let mut browser = shop.customer().await;
    let kept = browser.cookie.clone();
    let out = browser.send(Method::POST, "/api/sign-out", Value::Null).await;
    assert_eq!(out.status().as_u16(), 204);
    assert_eq!(browser.cookie, "shop_session=");
    browser.cookie = kept;
    assert_eq!(browser.get("/api/profile").await.0, 401);
    let mut browser = shop.customer().await;
    assert_eq!(browser.get("/api/orders").await.0, 200);
    shop.others.end_sessions();
    let (status, answer) = browser.get("/api/orders").await;
    assert_eq!((status, code(&answer)), (401, "unauthorized"));
    assert_eq!(browser.session().await["customer"], Value::Null);
}

#[tokio::test]
async fn an_old_session_gets_another_token_and_a_new_password_does_too() {
    let shop = Shop::open().await;
    let mut browser = shop.customer().await;
    let (cookie, csrf) = (browser.cookie.clone(), browser.csrf.clone());
    browser.session().await;
    assert_eq!((&browser.cookie, &browser.csrf), (&cookie, &csrf));
    shop.others.age_sessions();
    browser.session().await;
    assert!(browser.cookie != cookie && browser.csrf != csrf);
    let cookie = browser.cookie.clone();
    let body = json!({ "old": "correct horse", "new": "battery staple" });
    assert_eq!(browser.ask(Method::POST, "/api/password", body).await.0, 200);
    assert_ne!(browser.cookie, cookie);
    assert_eq!(browser.get("/api/profile").await.0, 200);
}

#[tokio::test]
async fn card_data_reaches_the_payments_service_and_nobody_else() {
    let shop = Shop::open().await;
    let mut browser = shop.customer().await;
    let key = [("idempotency-key", "k1")];
    let body = checkout("4242424242424242");
    let placed = browser.send_with(Method::POST, "/api/orders", body.clone(), &key).await;
    assert_eq!(placed.status().as_u16(), 202);
    let placed: Value = placed.json().await.unwrap();
    assert_eq!(placed["order"]["id"], json!(ORDER));
    let asked = shop.others.asked();
    for asked in &asked {
        let has = asked.body.to_string().contains("4242424242424242");
        assert_eq!(has, asked.what == "POST /tokens", "{asked:#?}");
    }
    let order = asked.iter().find(|asked| asked.what == "POST /orders").unwrap();
    assert_eq!(order.customer, Some(ADA));
    assert_eq!(order.headers["idempotency-key"], "k1");
    let expected = json!({
        "payment": { "token": "tok", "last4": "4242" }, "address": body["address"]
    });
    assert_eq!(order.body, expected);
    let refused = browser.send_with(Method::POST, "/api/orders", checkout("4000"), &key).await;
    assert_eq!(refused.status().as_u16(), 422);
    assert_eq!(code(&refused.json().await.unwrap()), "card_invalid");
    assert!(shop.others.asked().iter().all(|asked| asked.what != "POST /orders"));
    let (status, answer) = browser.ask(Method::POST, "/api/orders", body.clone()).await;
    assert_eq!((status, code(&answer)), (400, "idempotency_key_missing"));
    // Where it does not belong, a number is not repeated either.
    let mut odd = body;
    odd["payment"]["4111111111111111"] = true.into();
    odd["payment"]["cvc"] = json!(["4111111111111111"]);
    let odd = browser.send_with(Method::POST, "/api/orders", odd, &key).await;
    assert_eq!(odd.status().as_u16(), 422);
    assert!(!odd.text().await.unwrap().contains("4111"));
}

#[tokio::test]
async fn what_is_a_customers_is_asked_for_in_their_name_and_refused_to_guests() {
    let shop = Shop::open().await;
    let mut guest = shop.browser();
    guest.session().await;
    let mut ada = shop.customer().await;
    let order = format!("/api/orders/{ORDER}");
    let cancel = format!("{order}/cancel");
    let read = format!("/api/mailbox/{ORDER}/read");
    for (method, path, expected) in [
        (Method::GET, "/api/profile", 200),
        (Method::GET, "/api/orders?limit=5", 200),
        (Method::GET, order.as_str(), 200),
        (Method::POST, cancel.as_str(), 202),
        (Method::GET, "/api/mailbox", 200),
        (Method::POST, read.as_str(), 204),
        (Method::GET, "/api/orders/00000000-0000-0000-0000-000000000000", 404),
        (Method::GET, "/api/orders/nonsense", 400),
    ] {
        assert_eq!(guest.ask(method.clone(), path, Value::Null).await.0, 401, "{path}");
        assert!(shop.others.asked().is_empty(), "{path}");
        assert_eq!(ada.ask(method, path, Value::Null).await.0, expected, "{path}");
        let asked = shop.others.asked();
        let mut asked = asked.iter().filter(|asked| !asked.what.contains("/sessions/"));
        assert!(asked.all(|asked| asked.customer == Some(ADA)), "{path}");
    }
}

#[tokio::test]
async fn the_catalogue_is_asked_once_for_many_who_look() {
    let shop = Shop::open().await;
    let mut browser = shop.browser();
    for path in [
        "/api/products?q=tea+pot&category=kitchen&sort=-price&limit=5",
        "/api/products/kit-101",
        "/api/categories",
        "/pictures/KIT-101.svg",
    ] {
        let first = browser.send(Method::GET, path, Value::Null).await.text().await.unwrap();
        let second = browser.send(Method::GET, path, Value::Null).await.text().await.unwrap();
        assert_eq!(first, second);
        assert!(!first.contains("nobody's business"), "what is internal gets out");
        let asked = shop.others.asked();
        assert_eq!(asked.len(), 1, "{path}: {asked:#?}");
        assert!(asked[0].what.ends_with(path.trim_start_matches("/api")), "{asked:#?}");
    }
    let long = format!("/api/products?q={}", "x".repeat(101));
    for (path, expected) in [
        ("/api/products?colour=blue", 400),
        (long.as_str(), 422),
        ("/api/products/a%2Fb", 404),
        ("/api/products/..", 404),
        ("/api/products/kit-999", 404),
        ("/pictures/KIT-999.svg", 404),
        ("/api/products/kit-101/recommendations?limit=21", 422),
    ] {
        assert_eq!(browser.get(path).await.0, expected, "{path}");
    }
}

#[tokio::test]
async fn what_is_recommended_is_what_was_learned_or_else_what_is_popular() {
    let shop = Shop::open().await;
    let mut browser = shop.browser();
    let ids = |answer: &Value| {
        let items = answer["items"].as_array().unwrap().iter();
        items.map(|item| item["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (status, learned) = browser.get("/api/products/kit-101/recommendations?limit=2").await;
    assert_eq!((status, &learned["reason"]), (200, &json!("bought-together")));
    assert_eq!(ids(&learned), ["kit-103", "kit-102"]);
    shop.others.forget_what_goes_together();
    let (status, popular) = browser.get("/api/products/kit-101/recommendations?limit=1").await;
    assert_eq!((status, &popular["reason"]), (200, &json!("popular")));
    assert_eq!(ids(&popular), ["kit-102"]);
}

#[tokio::test]
async fn while_the_others_are_away_the_page_stays_and_the_rest_says_so() {
    let shop = Shop::open().await;
    let mut browser = shop.customer().await;
    shop.others.go_down();
    let mut guest = shop.browser();
    assert_eq!(guest.session().await["cart_items"], 0);
    assert_eq!(guest.send(Method::GET, "/", Value::Null).await.status().as_u16(), 200);
    for path in ["/api/products", "/api/profile", "/api/session", "/api/mailbox"] {
        let answer = browser.send(Method::GET, path, Value::Null).await;
        assert_eq!(answer.status().as_u16(), 503, "{path}");
        assert!(answer.headers().contains_key("retry-after"), "{path}");
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(code(&answer), "unavailable");
        assert!(!answer["error"]["request_id"].as_str().unwrap().is_empty());
    }
    // A broken service is left alone for a while.
    shop.others.asked();
    assert_eq!(browser.get("/api/profile").await.0, 503);
    assert!(shop.others.asked().is_empty());
}

#[tokio::test]
async fn a_client_that_asks_too_often_has_to_wait_and_others_have_not() {
    let settings = Settings { client_rate: 1, behind_proxy: Switch::On, ..Settings::default() };
    let shop = Shop::with(settings).await;
    let mut browser = shop.browser();
    let mut from = async |address: &str, path: &str| {
        let via = format!("198.51.100.1, {address}");
        let headers = [("x-forwarded-for", via.as_str())];
        browser.send_with(Method::GET, path, Value::Null, &headers).await
    };
    for _ in 0..10 {
        assert_eq!(from("192.0.2.1", "/api/categories").await.status().as_u16(), 200);
    }
    let refused = from("192.0.2.1", "/api/categories").await;
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["retry-after"]),
        (429, &"10".parse().unwrap())
    );
    assert_eq!(from("192.0.2.1", "/nothing").await.status().as_u16(), 429);
    assert_eq!(from("192.0.2.1", "/health/live").await.status().as_u16(), 200);
    assert_eq!(from("192.0.2.2", "/api/categories").await.status().as_u16(), 200);
    // Of one IPv6 network it does not matter which address.
    for host in 0..10 {
        let address = format!("2001:db8::{host}");
        assert_eq!(from(&address, "/api/categories").await.status().as_u16(), 200);
    }
    assert_eq!(from("2001:db8::ffff:1", "/api/categories").await.status().as_u16(), 429);
    assert_eq!(from("2001:db8:0:1::1", "/api/categories").await.status().as_u16(), 200);
}

#[tokio::test]
async fn a_client_that_signs_in_too_often_has_to_wait() {
    let shop = Shop::with(Settings { sign_in_rate: 3, ..Settings::default() }).await;
    let mut browser = shop.browser();
    browser.session().await;
    for _ in 0..3 {
        assert_eq!(browser.sign_in("wrong horse").await.0, 401);
    }
    assert_eq!(browser.sign_in("correct horse").await.0, 429);
    assert_eq!(browser.get("/api/categories").await.0, 200);
}

#[tokio::test]
async fn what_a_proxy_says_counts_only_where_there_is_one() {
    let https = [("x-forwarded-proto", "https")];
    let cookie = async |behind_proxy: Switch| {
        let shop = Shop::with(Settings { behind_proxy, ..Settings::default() }).await;
        let mut browser = shop.browser();
        let answer = browser.send_with(Method::GET, "/api/session", Value::Null, &https).await;
        answer.headers()["set-cookie"].to_str().unwrap().to_owned()
    };
    assert!(cookie(Switch::On).await.ends_with("; Secure"));
    assert!(!cookie(Switch::Off).await.contains("Secure"));
}

#[tokio::test]
async fn a_guests_cart_goes_along_as_soon_as_the_orders_service_is_back() {
    let shop = Shop::open().await;
    let mut browser = shop.browser();
    browser.session().await;
    browser.ask(Method::PUT, "/api/cart/items/kit-101", json!({ "quantity": 2 })).await;
    let visit = shop.others.asked_for("PUT /cart/items/kit-101").session;
    assert!(visit.is_some());
    shop.others.lose_orders(true);
    assert_eq!(browser.sign_in("correct horse").await.0, 200, "nobody is kept out");
    browser.session().await;
    assert_eq!(browser.get("/api/cart").await.0, 503);
    shop.others.asked();
    shop.others.lose_orders(false);
    // The gateway does not ask for a few seconds after failures in a row.
    let back = async {
        while !browser.cart.is_empty() {
            browser.get("/api/cart").await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), back).await.expect("the cart goes along");
    let merged = shop.others.asked_for("POST /cart/merge");
    assert_eq!((merged.customer, merged.session), (Some(ADA), visit));
    browser.session().await;
    assert_eq!(browser.get("/api/cart").await.0, 200);
    assert!(shop.others.asked().iter().all(|asked| asked.what != "POST /cart/merge"), "once");
}

#[tokio::test]
async fn a_guests_cart_that_did_not_go_along_is_the_guests_again_after_the_sign_out() {
    let shop = Shop::open().await;
    let mut browser = shop.browser();
    browser.session().await;
    let guest = browser.cookie.clone();
    shop.others.lose_orders(true);
    assert_eq!(browser.sign_in("correct horse").await.0, 200);
    browser.session().await;
    assert_eq!(browser.ask(Method::POST, "/api/sign-out", Value::Null).await.0, 204);
    browser.session().await;
    assert_eq!((browser.cookie.as_str(), browser.cart.as_str()), (guest.as_str(), ""));
}

/// What anybody may do. Whatever is not here is for customers: a route that is added without asking who it is fails.
const OPEN: [(&str, &str); 11] = [
    ("get", "/api/session"),
    ("post", "/api/register"),
    ("post", "/api/sign-in"),
    ("post", "/api/sign-out"),
    ("get", "/api/products"),
    ("get", "/api/products/{id}"),
    ("get", "/api/products/{id}/recommendations"),
    ("get", "/api/categories"),
    ("get", "/pictures/{file}"),
    ("get", "/api/cart"),
    ("put", "/api/cart/items/{product_id}"),
];

#[tokio::test]
async fn a_guest_is_refused_whatever_is_not_open_to_all() {
    let shop = Shop::open().await;
    let mut guest = shop.browser();
    guest.session().await;
    let (_, document) = guest.get("/openapi.json").await;
    let (mut open, mut closed) = (0, 0);
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["get", "put", "post", "patch", "delete"] {
            if item[method].is_null() {
                continue;
            }
            if OPEN.contains(&(method, path)) {
                open += 1;
                continue;
            }
            closed += 1;
            let asked = path.replace("{id}", &ORDER.to_string());
            let verb = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let (status, _) = guest.ask(verb, &asked, json!({})).await;
            assert_eq!(status, 401, "{method} {path}");
        }
    }
    assert_eq!(open, OPEN.len());
    assert!(closed >= 9, "{closed}");
}
