//! The services keep what their OpenAPI documents say, whatever they are sent: schemathesis makes up requests from the
//! documents, right ones and wrong ones, and compares the answers. Beside it what no document describes: bodies that are
//! no JSON, too deep or too large, and people who are nobody or come from another site.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail the test")]

#[path = "openapi/schemathesis.rs"]
mod schemathesis;

use std::time::SystemTime;

use reqwest::header::{CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use services_kit::identity::IDENTITY;
use services_kit::{Kit, Options, Peer};
use services_trials::{Open, open};

use schemathesis::Schemathesis;

const KEY: &str = "the key of a shop that is tried out";
const DOOR: &str = "gateway";
const CSRF: &str = "x-csrf-token";
/// An identity of the right form that no service has signed.
const FORGED: &str = "e30.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Bodies that nobody should send. No service reads more than 64 KiB.
fn hostile() -> [(&'static str, &'static str, Vec<u8>); 7] {
    let json = "application/json";
    [
        ("no JSON", json, b"{\"a\": ".to_vec()),
        ("nothing", json, Vec::new()),
        ("no text", json, vec![0xff; 64]),
        ("lists in lists", json, b"[".repeat(60 << 10)),
        ("objects in objects", json, b"{\"a\":".repeat(10 << 10)),
        ("too much", json, format!("\"{}\"", "x".repeat(256 << 10)).into_bytes()),
        ("a form", "application/x-www-form-urlencoded", b"a=b".to_vec()),
    ]
}

/// The shop, and one who may ask its services for anything.
struct Trial {
    shop: Open,
    http: Client,
    kit: Kit,
    /// The session of a customer, and its token.
    session: HeaderMap,
}

/// One operation of a document.
struct Operation {
    service: &'static str,
    method: Method,
    url: String,
    takes_a_body: bool,
}

impl Trial {
    async fn begin() -> Self {
        let unlimited = [("SHOP_CLIENT_RATE", "0"), ("SHOP_SIGN_IN_RATE", "0")];
        let shop = open(&[unlimited[0], unlimited[1], ("SHOP_INTERNAL_KEY", KEY)]).unwrap();
        // reqwest is built without a TLS provider of its own.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let key = Some(KEY.into());
        let options = Options { internal_key: key, ..Options::on_free_ports().unwrap() };
        let kit = Kit::new(Peer::Gateway, options).unwrap();
        let session = HeaderMap::new();
        let mut trial = Self { shop, http: Client::new(), kit, session };
        trial.look().await;
        let somebody =
            json!({ "email": "ada@openapi.test", "name": "Ada", "password": "x".repeat(12) });
        let register = trial.http.post(trial.at("/api/register")).headers(trial.session.clone());
        let answer = register.json(&somebody).send().await.unwrap();
        assert_eq!(answer.status(), 201);
        trial.keep(answer.headers());
        trial.look().await;
        trial
    }

    fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.shop.shop.door())
    }

    /// Asks for the session's token, as the page does.
    async fn look(&mut self) {
        let ask = self.http.get(self.at("/api/session")).headers(self.session.clone());
        let answer = ask.send().await.unwrap();
        self.keep(answer.headers());
        let session: Value = answer.json().await.unwrap();
        let token = session["csrf_token"].as_str().unwrap();
        self.session.insert(CSRF, HeaderValue::from_str(token).unwrap());
    }

    fn keep(&mut self, answered: &HeaderMap) {
        if let Some(cookie) = answered.get("set-cookie") {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            self.session.insert(COOKIE, HeaderValue::from_str(pair).unwrap());
        }
    }

    /// What lets a request in: the session at the door, an identity elsewhere.
    fn pass(&self, service: &str) -> HeaderMap {
        if service == DOOR {
            return self.session.clone();
        }
        let customer = Some("019a0000-0000-7000-8000-000000000001".parse().unwrap());
        let identity = self.kit.keys().sign(Peer::Gateway, customer, SystemTime::now()).unwrap();
        HeaderMap::from_iter([(IDENTITY, identity)])
    }

    /// All operations of all documents.
    async fn operations(&self) -> Vec<Operation> {
        let mut operations = Vec::new();
        for (service, address) in self.shop.shop.publics() {
            let document = format!("http://{address}/openapi.json");
            let document: Value =
                self.http.get(document).send().await.unwrap().json().await.unwrap();
            for (path, methods) in document["paths"].as_object().unwrap() {
                for (method, described) in methods.as_object().unwrap() {
                    operations.push(Operation {
                        service,
                        method: method.to_uppercase().parse().unwrap(),
                        url: format!("http://{address}{}", path.replace(['{', '}'], "")),
                        takes_a_body: described.get("requestBody").is_some(),
                    });
                }
            }
        }
        operations
    }

    /// Nobody is let in, and at the door no other site changes anything.
    async fn strangers(&self, operation: &Operation) {
        let Operation { service, method, url, .. } = operation;
        let mut unproven = self.session.clone();
        unproven.remove(CSRF);
        let with = |name: HeaderName, value: &'static str| {
            let mut headers = unproven.clone();
            headers.insert(name, HeaderValue::from_static(value));
            headers
        };
        let (refused, tries) = match *service {
            DOOR if *method == Method::GET => return,
            DOOR => {
                let other = with(HeaderName::from_static(CSRF), "of another session");
                ((403, Some("csrf_token_wrong".to_owned())), [unproven.clone(), other])
            }
            _ => {
                ((401, Some("unauthorized".to_owned())), [unproven.clone(), with(IDENTITY, FORGED)])
            }
        };
        for headers in tries {
            assert_eq!(self.ask(operation, headers, Vec::new()).await, refused, "{method} {url}");
        }
    }

    /// Bodies that nobody should send are refused in the shop's own words.
    async fn enemies(&self, operation: &Operation) {
        for (what, content_type, body) in hostile() {
            let mut headers = self.pass(operation.service);
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            headers.insert("idempotency-key", HeaderValue::from_static("the-first"));
            let (status, code) = self.ask(operation, headers, body).await;
            let right = matches!(status, 400 | 413 | 415 | 422) && code.is_some();
            let Operation { method, url, .. } = operation;
            assert!(right, "{method} {url} with {what}: {status} {code:?}");
        }
    }

    /// The status of an answer, and the code if it is an error of the shop's form.
    async fn ask(
        &self,
        operation: &Operation,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> (u16, Option<String>) {
        let request = self.http.request(operation.method.clone(), &operation.url);
        let answer = request.headers(headers).body(body).send().await.unwrap();
        let status = answer.status().as_u16();
        let error: Value = answer.json().await.unwrap_or_default();
        let error = &error["error"];
        let whole = error["message"].is_string() && error["request_id"].is_string();
        (status, error["code"].as_str().filter(|_| whole).map(str::to_owned))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_does_what_its_document_says_and_refuses_what_none_describes() {
    let schemathesis = Schemathesis::install();
    let trial = Trial::begin().await;
    let operations = trial.operations().await;
    for operation in &operations {
        trial.strangers(operation).await;
    }
    for operation in operations.iter().filter(|operation| operation.takes_a_body) {
        trial.enemies(operation).await;
    }
    let shop = &trial.shop.shop;
    let failed = schemathesis.try_out(&shop.publics().collect::<Vec<_>>(), shop.door(), KEY);
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
