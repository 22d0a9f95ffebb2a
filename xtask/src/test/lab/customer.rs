//! A customer of the shop: signs up at its one door and orders again and again, as the storefront page does.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{packages, sh};

const DEADLINE: Duration = Duration::from_secs(20);
const PAUSE_BETWEEN_ORDERS: Duration = Duration::from_secs(1);
/// The provider's test cards, in turn: most are good, one is declined.
const CARDS: [&str; 4] =
    ["4242424242424242", "4242424242424242", "4242424242424242", "4000000000000002"];

/// Orders until this is dropped.
pub(crate) struct Customer(Arc<AtomicBool>);

impl Customer {
    /// Registers, orders once while we wait, and goes on ordering.
    pub(crate) fn arrive(door: SocketAddr, folder: &Path) -> Result<Self> {
        packages::ensure(&packages::CURL)?;
        let mut browser = Browser { door, cookies: folder.join("cookies"), csrf: String::new() };
        browser.sign_up()?;
        let products = browser.ask("GET", "/api/products?limit=24", &[], None)?;
        let products = products["items"].as_array().context("no products")?;
        let products: Vec<String> =
            products.iter().filter_map(|one| Some(one["id"].as_str()?.to_owned())).collect();
        browser.order(&products[0], CARDS[0], 0)?;
        let gone = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&gone);
        thread::spawn(move || {
            let wishes = products.iter().cycle().zip(CARDS.iter().cycle()).zip(1..);
            for ((product, card), number) in wishes {
                thread::sleep(PAUSE_BETWEEN_ORDERS);
                if until.load(Ordering::Acquire) {
                    break;
                }
                // What is sold out is left; the dashboards show the refusals.
                browser.order(product, card, number).ok();
            }
        });
        Ok(Self(gone))
    }
}

impl Drop for Customer {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// curl with a jar of cookies: what xtask's own HTTP needs neither of.
struct Browser {
    door: SocketAddr,
    cookies: PathBuf,
    csrf: String,
}

impl Browser {
    fn sign_up(&mut self) -> Result<()> {
        self.csrf = self.token()?;
        let who = json!({
            "email": "ada@example.com",
            "name": "Ada",
            "password": "a long enough password",
        });
        self.ask("POST", "/api/register", &[], Some(&who))?;
        // Another session, another token.
        self.csrf = self.token()?;
        Ok(())
    }

    fn token(&self) -> Result<String> {
        let session = self.ask("GET", "/api/session", &[], None)?;
        Ok(session["csrf_token"].as_str().context("no CSRF token")?.to_owned())
    }

    fn order(&self, product: &str, card: &str, number: u64) -> Result<()> {
        let path = format!("/api/cart/items/{product}");
        self.ask("PUT", &path, &[], Some(&json!({ "quantity": 1 })))?;
        let order = json!({
            "payment": { "card_number": card, "expiry": "12/39", "cvc": "123", "holder": "Ada" },
            "address": {
                "street": "Long Lane 1",
                "city": "Vienna",
                "postcode": "1010",
                "country": "AT",
            },
        });
        let key = format!("Idempotency-Key: lab-{number}");
        self.ask("POST", "/api/orders", &[&key], Some(&order))?;
        Ok(())
    }

    fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: Option<&Value>,
    ) -> Result<Value> {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail-with-body", "--request", method]);
        curl.arg("--cookie").arg(&self.cookies).arg("--cookie-jar").arg(&self.cookies);
        curl.args(["--header", &format!("X-CSRF-Token: {}", self.csrf)]);
        for header in headers {
            curl.args(["--header", header]);
        }
        if let Some(body) = body {
            curl.args(["--header", "Content-Type: application/json", "--data", &body.to_string()]);
        }
        let answer = sh::capture(curl.arg(format!("http://{}{path}", self.door)), DEADLINE)
            .with_context(|| format!("{method} {path}"))?;
        ensure!(!answer.is_empty(), "{method} {path} answers nothing");
        Ok(serde_json::from_str(&answer)?)
    }
}
