//! The W3C trace context on its way: in and out of HTTP headers, and in and out of events.

use std::collections::HashMap;

use axum::http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The field that carries it, in headers and in events.
const TRACEPARENT: &str = "traceparent";

/// The present trace context in W3C's form, for an event to carry; none outside a trace.
pub fn traceparent() -> Option<String> {
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&Context::current(), &mut carrier);
    carrier.remove(TRACEPARENT)
}

/// Makes a span, which must not have been entered yet, part of the trace that an event carried. What is not of W3C's
/// form is ignored: then the span begins a trace of its own.
pub fn continue_from(span: &Span, traceparent: Option<&str>) {
    let Some(traceparent) = traceparent else { return };
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    adopt(span, TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier));
}

/// As [`continue_from`], for the headers of a request.
pub(crate) fn continue_from_headers(span: &Span, headers: &HeaderMap) {
    if headers.contains_key(TRACEPARENT) {
        let carrier = HeaderExtractor(headers);
        adopt(span, TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier));
    }
}

/// Adds the present trace context to the headers of a request.
pub(crate) fn inject(headers: &mut HeaderMap) {
    TraceContextPropagator::new().inject_context(&Context::current(), &mut HeaderInjector(headers));
}

fn adopt(span: &Span, context: Context) {
    // It fails where nothing is traced, and then there is nothing to do.
    span.set_parent(context).ok();
}
