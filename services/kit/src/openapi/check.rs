//! Compares a running service with its document, for the tests of each.

use std::time::SystemTime;

use axum::http::Method;
use serde_json::Value;
use uuid::Uuid;

use super::PATH;
use crate::identity::IDENTITY;
use crate::service::{NO_ROUTE, Running};

const METHODS: [Method; 5] =
    [Method::GET, Method::PUT, Method::POST, Method::DELETE, Method::PATCH];

/// What the document of a running service says that is not so: operations that no route answers, methods that are
/// answered beside those of the document, answers with a status that it does not know. It asks for everything once, on
/// behalf of a customer nobody knows and without a body. Empty when they agree.
///
/// # Errors
/// When the service or its document cannot be read.
pub async fn disagreements(running: &Running) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let http = crate::client::http(false)?;
    let base = format!("http://{}", running.public_address);
    let document: Value = http.get(format!("{base}{PATH}")).send().await?.json().await?;
    let paths = document["paths"].as_object().ok_or("the document has no paths")?;
    let kit = running.kit();
    let mut found = Vec::new();
    for (path, operations) in paths {
        for method in METHODS {
            let operation = &operations[method.as_str().to_lowercase()];
            let identity = kit.keys().sign(kit.service(), Some(Uuid::nil()), SystemTime::now())?;
            let url = format!("{base}{}", filled(path));
            let request = http.request(method.clone(), url).header(IDENTITY, identity);
            let answer = request.send().await?;
            let status = answer.status().as_u16();
            let body: Value = answer.json().await.unwrap_or_default();
            let unrouted = status == 405 || body["error"]["code"] == NO_ROUTE;
            match (operation.is_object(), unrouted) {
                (true, true) => found.push(format!("{method} {path}: documented, not served")),
                (false, false) => found.push(format!("{method} {path}: served, not documented")),
                (true, false) => found.extend(wrong(&method, path, operation, status)),
                (false, true) => {}
            }
        }
    }
    Ok(found)
}

fn wrong(method: &Method, path: &str, operation: &Value, status: u16) -> Option<String> {
    let described = operation["summary"].is_string() || operation["description"].is_string();
    if !described {
        return Some(format!("{method} {path}: has no words"));
    }
    let known = &operation["responses"];
    let success = (200..300).contains(&status);
    if success && known.get(status.to_string()).is_none() {
        return Some(format!("{method} {path}: answers {status}, which is not documented"));
    }
    let undescribed = |answer: &&Value| answer["description"].as_str().is_none_or(str::is_empty);
    if let Some(answer) =
        known.as_object().into_iter().flat_map(|all| all.values()).find(undescribed)
    {
        return Some(format!("{method} {path}: an answer has no words: {answer}"));
    }
    (status >= 500).then(|| format!("{method} {path}: answers {status}"))
}

/// The path with something in each placeholder.
fn filled(path: &str) -> String {
    path.split('/')
        .map(
            |part| {
                if part.starts_with('{') { "00000000-0000-0000-0000-000000000000" } else { part }
            },
        )
        .collect::<Vec<_>>()
        .join("/")
}
