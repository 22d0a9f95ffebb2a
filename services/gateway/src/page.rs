//! The storefront page: files in the program, each with what names its content.

use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use services_kit::ApiError;
use std::sync::LazyLock;

/// Only what comes from here is shown or run, nothing within the page's text is, and nobody frames it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

struct File {
    name: &'static str,
    content: &'static [u8],
    tag: String,
}

impl File {
    fn new(name: &'static str, content: &'static [u8]) -> Self {
        let hash = digest(&SHA256, content);
        Self { name, content, tag: format!("\"{}\"", URL_SAFE_NO_PAD.encode(&hash.as_ref()[..16])) }
    }

    fn content_type(&self) -> &'static str {
        match self.name.rsplit('.').next() {
            Some("html") => "text/html; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("svg") => "image/svg+xml",
            _ => "application/octet-stream",
        }
    }

    /// The file, or that it is still the same. It is asked for each time, so a new release is seen at once.
    fn answer(&'static self, asked: &HeaderMap) -> Response {
        let headers = [
            (ETAG, self.tag.as_str()),
            (CACHE_CONTROL, "no-cache"),
            (CONTENT_SECURITY_POLICY, POLICY),
            (CONTENT_TYPE, self.content_type()),
        ];
        let known = asked.get(IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
        if known.is_some_and(|tags| tags.contains(self.tag.as_str())) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        (headers, self.content).into_response()
    }
}

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(File::new($name, include_bytes!(concat!("../page/", $name)))),*]
    };
}

static FILES: LazyLock<[File; 12]> = LazyLock::new(|| {
    files![
        "index.html",
        "style.css",
        "icon.svg",
        "app.js",
        "api.js",
        "dom.js",
        "form.js",
        "shop.js",
        "cart.js",
        "orders.js",
        "account.js",
        "mailbox.js",
    ]
});

/// `GET /`.
pub(crate) async fn index(headers: HeaderMap) -> Response {
    FILES[0].answer(&headers)
}

/// `GET /assets/{name}`.
pub(crate) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    match FILES[1..].iter().find(|file| file.name == name) {
        Some(file) => file.answer(&headers),
        None => ApiError::not_found("there is no such file").into_response(),
    }
}
