//! The page: fixed files that fetch everything else from the API.

use axum::http::header;
use axum::response::IntoResponse;

/// Only this server's own files run or are shown, and only this server is asked.
pub(crate) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind)], text)
}

/// `GET /`
pub(crate) async fn index() -> impl IntoResponse {
    file(HTML, include_str!("page/index.html"))
}

/// `GET /assets/app.css`
pub(crate) async fn css() -> impl IntoResponse {
    file(CSS, include_str!("page/app.css"))
}

/// `GET /assets/app.js`
pub(crate) async fn app() -> impl IntoResponse {
    file(JS, include_str!("page/app.js"))
}

/// `GET /assets/dom.js`
pub(crate) async fn dom() -> impl IntoResponse {
    file(JS, include_str!("page/dom.js"))
}

/// `GET /assets/heap.js`
pub(crate) async fn heap() -> impl IntoResponse {
    file(JS, include_str!("page/heap.js"))
}

/// `GET /assets/plot.js`
pub(crate) async fn plot() -> impl IntoResponse {
    file(JS, include_str!("page/plot.js"))
}

/// `GET /assets/words.js`
pub(crate) async fn words() -> impl IntoResponse {
    file(JS, include_str!("page/words.js"))
}

/// `GET /assets/icon.svg`
pub(crate) async fn icon() -> impl IntoResponse {
    file(SVG, include_str!("page/icon.svg"))
}
