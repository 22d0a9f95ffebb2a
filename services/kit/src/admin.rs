//! Who may do what on the admin port.
//!
//! Metrics and health are for whoever reaches the port. What tells how the program works is for this machine, and what
//! changes something for this machine where no token is set. With the token everything goes, from anywhere.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;

use crate::error::ApiError;

/// What is below it tells how the program works.
const INNER: &str = "/debug/";

/// Middleware.
pub(crate) async fn guard(
    State(token): State<Option<SecretString>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    match allowed(token.as_ref(), peer, &request) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

fn allowed(
    token: Option<&SecretString>,
    peer: SocketAddr,
    request: &Request,
) -> Result<(), ApiError> {
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    if !changes && !request.uri().path().starts_with(INNER) {
        return Ok(());
    }
    // A page in a browser on this machine comes from loopback as well, and says where it is from.
    if changes && request.headers().contains_key(header::ORIGIN) {
        return Err(ApiError::forbidden("no page may change anything here"));
    }
    if let Some(token) = token {
        if bears(request, token) {
            return Ok(());
        }
        if changes {
            return Err(ApiError::unauthorized(
                "this needs the token of SHOP_ADMIN_TOKEN as bearer",
            ));
        }
    }
    if peer.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    Err(ApiError::forbidden("this is for this machine, or with the token of SHOP_ADMIN_TOKEN"))
}

/// Compares in constant time.
fn bears(request: &Request, token: &SecretString) -> bool {
    let sent = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let sent = sent.and_then(|value| value.split_once(' '));
    sent.is_some_and(|(scheme, sent)| {
        scheme.eq_ignore_ascii_case("bearer")
            && bool::from(sent.as_bytes().ct_eq(token.expose_secret().as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    const HERE: [u8; 4] = [127, 0, 0, 1];
    const THERE: [u8; 4] = [10, 0, 0, 9];

    fn status(token: Option<&str>, from: [u8; 4], request: &str, headers: &[(&str, &str)]) -> u16 {
        let (method, path) = request.split_once(' ').unwrap();
        let mut builder = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let request = builder.body(Body::empty()).unwrap();
        let token = token.map(SecretString::from);
        match allowed(token.as_ref(), (from, 1).into(), &request) {
            Ok(()) => 200,
            Err(error) => error.status().as_u16(),
        }
    }

    #[test]
    fn without_a_token_only_this_machine_looks_inside_or_changes_anything() {
        for path in ["GET /metrics", "GET /health/ready"] {
            assert_eq!(status(None, THERE, path, &[]), 200, "{path}");
        }
        for path in ["GET /debug/pprof/heap", "PUT /debug/faults/x", "POST /redrive"] {
            assert_eq!(status(None, HERE, path, &[]), 200, "{path}");
            assert_eq!(status(None, THERE, path, &[]), 403, "{path}");
        }
    }

    #[test]
    fn with_a_token_whoever_changes_anything_needs_it_also_on_this_machine() {
        let token = Some("0123456789abcdef");
        let right = [("authorization", "Bearer 0123456789abcdef")];
        for wrong in ["Bearer 0123456789abcdeX", "Bearer 0123456789abcde", "0123456789abcdef"] {
            let wrong = [("authorization", wrong)];
            assert_eq!(status(token, HERE, "PUT /debug/faults/x", &wrong), 401);
        }
        for from in [HERE, THERE] {
            assert_eq!(status(token, from, "PUT /debug/faults/x", &[]), 401);
            assert_eq!(status(token, from, "PUT /debug/faults/x", &right), 200);
        }
        assert_eq!(status(token, THERE, "GET /debug/pprof/heap", &[]), 403);
        assert_eq!(status(token, THERE, "GET /debug/pprof/heap", &right), 200);
        assert_eq!(status(token, HERE, "GET /debug/pprof/heap", &[]), 200);
    }

    #[test]
    fn a_page_in_a_browser_on_this_machine_changes_nothing() {
        let origin = [("origin", "http://127.0.0.1:9080")];
        assert_eq!(status(None, HERE, "POST /redrive", &origin), 403);
    }
}
