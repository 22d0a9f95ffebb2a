//! `/metrics` over HTTP: the form that is asked for, compressed where that is worth it.

use std::io::{self, Write as _};
use std::sync::PoisonError;
use std::time::Instant;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::metrics::{form, render, takes_gzip};
use crate::routes::Shared;

/// Shorter answers are not compressed: those of a watchdog beside one service fit into a few packets, and compressing
/// one takes more processor time than making it.
const WORTH_IT: usize = 32 << 10;

/// `GET /metrics`
pub(crate) async fn scrape(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    let began = Instant::now();
    let form = form(&named(&headers, header::ACCEPT));
    let mut status = shared.source.status();
    status.meters.scrapes = *shared.scrapes.lock().unwrap_or_else(PoisonError::into_inner);
    let text = render(&status, form);
    drop(status);
    let kind =
        [(header::CONTENT_TYPE, form.content_type()), (header::VARY, "accept, accept-encoding")];
    let text = Bytes::from(text);
    let compress = text.len() >= WORTH_IT && takes_gzip(&named(&headers, header::ACCEPT_ENCODING));
    let packed = if compress { gzip(text.clone()).await } else { None };
    let answer = match packed {
        Some(packed) => (kind, [(header::CONTENT_ENCODING, "gzip")], packed).into_response(),
        None => (kind, text).into_response(),
    };
    shared.scrapes.lock().unwrap_or_else(PoisonError::into_inner).add(began.elapsed());
    answer
}

/// All headers of one name as one, as a list may be sent in parts.
fn named(headers: &HeaderMap, name: HeaderName) -> String {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.collect::<Vec<_>>().join(",")
}

/// The quickest compression, as series are so alike that a better one gains little; beside the tasks that sample.
async fn gzip(text: Bytes) -> Option<Vec<u8>> {
    let pack = move || -> io::Result<Vec<u8>> {
        let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 8), Compression::fast());
        encoder.write_all(&text)?;
        encoder.finish()
    };
    // Writing to memory cannot fail; if it did, the text would be as good.
    tokio::task::spawn_blocking(pack).await.ok()?.ok()
}
