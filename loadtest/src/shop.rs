//! The shop through its gateway: how visitors ask, and the two kinds of them.

mod browse;
mod buy;

pub(crate) use browse::browse;
pub(crate) use buy::buy;

use goose::goose::GooseResponse;
use goose::prelude::*;
use serde_json::Value;

/// The answer to a request that was answered as it should.
type Answer = Result<GooseResponse, Box<TransactionError>>;

/// A product as lists show it.
#[derive(Clone)]
struct Product {
    id: String,
    picture: String,
}

/// Asks for a page.
async fn get(user: &mut GooseUser, path: &str, name: &str) -> Answer {
    let request = GooseRequest::builder()
        .method(GooseMethod::Get)
        .path(path)
        .name(name)
        .expect_status_code(200)
        .build();
    checked(user.request(request).await?)
}

/// Changes something, as the page does: with the session's token.
struct Change<'a> {
    method: GooseMethod,
    path: &'a str,
    /// What it is counted under.
    name: &'a str,
    /// Sent once, however often it is tried.
    key: Option<&'a str>,
    body: Option<Value>,
    status: u16,
}

impl Change<'_> {
    async fn send(self, user: &mut GooseUser, csrf: &str) -> Answer {
        let mut request = user.get_request_builder(&self.method, self.path)?;
        request = request.header("X-CSRF-Token", csrf);
        if let Some(key) = self.key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = &self.body {
            request = request.json(body);
        }
        let request = GooseRequest::builder()
            .method(self.method)
            .path(self.path)
            .name(self.name)
            .expect_status_code(self.status)
            .set_request_builder(request)
            .build();
        checked(user.request(request).await?)
    }
}

/// Nothing follows from an answer that is none.
fn checked(answer: GooseResponse) -> Answer {
    if answer.request.success {
        return Ok(answer);
    }
    let (name, status) = (&answer.request.name, answer.request.status_code);
    Err(format!("{name} was answered with {status}").into())
}

/// The answer's JSON.
async fn json(answer: GooseResponse) -> Result<Value, Box<TransactionError>> {
    Ok(answer.response?.json().await?)
}

/// Reads an answer to its end, so that the connection can be used again.
async fn read(answer: GooseResponse) -> TransactionResult {
    answer.response?.bytes().await?;
    Ok(())
}

/// Begins a session if there is none; the token with which the visitor may change something.
async fn session(user: &mut GooseUser) -> Result<String, Box<TransactionError>> {
    let session = json(get(user, "/api/session", "/api/session").await?).await?;
    Ok(text(&session["csrf_token"])?.to_owned())
}

/// A list of products, without those that are sold out.
async fn list(user: &mut GooseUser, path: &str) -> Result<Vec<Product>, Box<TransactionError>> {
    let page = json(get(user, path, "/api/products").await?).await?;
    let products = page["items"].as_array().ok_or("a list of products has no items")?;
    let there = products.iter().filter(|product| product["available"].as_i64() > Some(0));
    there
        .map(|product| {
            let of = |field: &str| text(&product[field]).map(str::to_owned);
            Ok(Product { id: of("id")?, picture: of("picture")? })
        })
        .collect()
}

/// Sets how many of a product are in the cart.
async fn put(user: &mut GooseUser, csrf: &str, product: &str, quantity: u32) -> TransactionResult {
    let change = Change {
        method: GooseMethod::Put,
        path: &format!("/api/cart/items/{product}"),
        name: "/api/cart/items/{product_id}",
        key: None,
        body: Some(serde_json::json!({ "quantity": quantity })),
        status: 200,
    };
    read(change.send(user, csrf).await?).await
}

fn text(value: &Value) -> Result<&str, Box<TransactionError>> {
    value.as_str().ok_or_else(|| "an answer lacks what the page shows".into())
}
