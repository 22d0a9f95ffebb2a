//! Who may ask: the bearer token for heaps, and defence against other web sites in the user's browser.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use subtle::ConstantTimeEq;

use crate::error::ApiError;
use crate::routes::Shared;

/// The rule for this server.
#[derive(Clone)]
pub(crate) struct Access {
    token: Option<Arc<SecretString>>,
    loopback: bool,
}

impl Access {
    pub(crate) fn new(token: Option<SecretString>, loopback: bool) -> Self {
        Self { token: token.map(Arc::new), loopback }
    }

    fn check(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        if self.loopback {
            return Ok(());
        }
        let Some(token) = self.token.as_ref().filter(|token| !token.expose_secret().is_empty())
        else {
            let text = "heap dumps are refused: the server listens beyond loopback and has no token; set one, or listen on 127.0.0.1";
            return Err(ApiError::new(StatusCode::FORBIDDEN, text));
        };
        let sent = credentials(headers).unwrap_or_default();
        // Compared in constant time, so that the time to an answer does not tell how much of a guess was right.
        if bool::from(sent.expose_secret().ct_eq(token.expose_secret().as_bytes())) {
            return Ok(());
        }
        let text = "this needs the watchdog's token: send it in the header `Authorization: Bearer TOKEN`, or as the \
            password of any user in the address, as in `go tool pprof http://any:TOKEN@HOST/…`";
        Err(ApiError::new(StatusCode::UNAUTHORIZED, text))
    }
}

/// The token that was sent: as itself, or as the password of whatever user, which is what tools send that can only be
/// given an address.
fn credentials(headers: &HeaderMap) -> Option<SecretSlice<u8>> {
    let (scheme, sent) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let sent = sent.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(sent.as_bytes().to_vec().into());
    }
    let decoded = scheme.eq_ignore_ascii_case("basic").then(|| base64(sent)).flatten()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    Some(decoded.get(colon + 1..)?.to_vec().into())
}

/// Decodes base64 in the usual alphabet (RFC 4648, section 4), with or without padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let mut bits: u32 = 0;
    let mut count = 0;
    for byte in text.trim_end_matches('=').bytes() {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            // The mask leaves what fits into a byte.
            decoded.push((bits >> count & 0xff) as u8);
        }
    }
    Some(decoded)
}

/// Proof that the request may read a heap or trigger work; a handler that does so takes one.
pub(crate) struct Allowed;

impl FromRequestParts<Shared> for Allowed {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, ApiError> {
        shared.access.check(&parts.headers)?;
        Ok(Self)
    }
}

/// Proof that no page of another site makes the user's browser send this, as an image's address for one. A link that
/// the user follows is fine: it fills the whole window. For a GET that makes a target or this process work.
pub(crate) struct OwnInitiative;

impl<S: Send + Sync> FromRequestParts<S> for OwnInitiative {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let followed = parts.headers.get(SEC_FETCH_DEST).is_some_and(|dest| dest == "document");
        if is_foreign(&parts.headers, host(&parts.headers, &parts.uri).as_ref()) && !followed {
            return Err(foreign());
        }
        Ok(Self)
    }
}

fn foreign() -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, "a page of another site may not do this")
}

const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses what another web site makes the user's browser send: any request under a foreign host's name to a loopback
/// server (DNS rebinding), and any changing request from another origin.
pub(crate) async fn check_origin(
    State(shared): State<Shared>,
    request: Request,
    next: Next,
) -> Response {
    let host = host(request.headers(), request.uri());
    if shared.access.loopback && host.as_ref().is_some_and(|host| !is_local(host)) {
        let text =
            "this server answers this machine only, under the name localhost, 127.0.0.1 or [::1]";
        return ApiError::new(StatusCode::MISDIRECTED_REQUEST, text).into_response();
    }
    if request.method() != Method::GET && is_foreign(request.headers(), host.as_ref()) {
        return foreign().into_response();
    }
    next.run(request).await
}

fn host(headers: &HeaderMap, uri: &Uri) -> Option<Authority> {
    let named = headers.get(header::HOST);
    named.and_then(|host| host.to_str().ok()?.parse().ok()).or_else(|| uri.authority().cloned())
}

fn is_local(authority: &Authority) -> bool {
    let host = authority.host().trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost")
        || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

fn is_foreign(headers: &HeaderMap, host: Option<&Authority>) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let site = text(SEC_FETCH_SITE).is_some_and(|site| !matches!(site, "same-origin" | "none"));
    let origin = text(header::ORIGIN).is_some_and(|origin| {
        origin.split_once("://").map(|(_, o)| o) != host.map(Authority::as_str)
    });
    site || origin
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded_as_the_standard_says_and_nothing_else_is() {
        for (text, decoded) in [
            ("", Some("")),
            ("Zg==", Some("f")),
            ("Zm8=", Some("fo")),
            ("Zm9v", Some("foo")),
            ("Zm9vYg", Some("foob")),
            ("YW55OnMzY3JldD8+", Some("any:s3cret?>")),
            ("Zm9v-", None),
            ("Zm 9v", None),
            ("Zg=v", None),
        ] {
            let expected = decoded.map(|text: &str| text.as_bytes().to_vec());
            assert_eq!(base64(text), expected, "{text}");
        }
    }

    #[test]
    fn only_names_of_this_machine_are_local() {
        for (host, local) in [
            ("localhost", true),
            ("LOCALHOST:9911", true),
            ("127.0.0.1:9911", true),
            ("127.8.8.8", true),
            ("[::1]:9911", true),
            ("evil.example", false),
            ("localhost.evil.example:9911", false),
            ("127.0.0.1.evil.example", false),
            ("10.0.0.7:9911", false),
        ] {
            assert_eq!(is_local(&host.parse().expect(host)), local, "{host}");
        }
    }
}
