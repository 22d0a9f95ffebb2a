//! What every service has: requests, panics, background work, its calls to others.

use super::{Kind, Metric, Values};

/// Seconds. The shop answers from memory in well under a millisecond; 10 s is the deadline of a request.
const BUCKETS: &[f64] =
    &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

const METHOD: (&str, Values) =
    ("method", Values::Bounded("GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS, other"));
const ROUTE: (&str, Values) = ("route", Values::Bounded("the route that matched, or unmatched"));
const PEER: (&str, Values) = ("peer", Values::Bounded("the service that was called"));

/// Requests answered.
pub const REQUESTS: Metric = Metric {
    name: "http_requests_total",
    kind: Kind::Counter,
    unit: "requests",
    labels: &[METHOD, ROUTE, ("status", Values::Bounded("the answer's status"))],
    help: "Requests answered, by matched route.",
    absent: "before the first request of a route",
};

/// How long they took.
pub const DURATION: Metric = Metric {
    name: "http_request_duration_seconds",
    kind: Kind::Histogram(BUCKETS),
    unit: "seconds",
    labels: &[METHOD, ROUTE],
    help: "Time from the request's head to the response's head, by matched route.",
    absent: "before the first request of a route",
};

/// Panics.
pub const PANICS: Metric = Metric {
    name: "process_panics_total",
    kind: Kind::Counter,
    unit: "panics",
    labels: &[],
    help: "Panics, in any thread or task.",
    absent: "never",
};

/// What could not be told to those who collect telemetry.
pub const TELEMETRY_LOST: Metric = Metric {
    name: "shop_telemetry_lost_total",
    kind: Kind::Counter,
    unit: "lines or spans",
    labels: &[("signal", Values::Of(&["logs", "traces"]))],
    help: "Log lines and spans that were dropped: the queue was full or the receiver did not take them.",
    absent: "never",
};

/// Calls to other services.
pub const CALLS: Metric = Metric {
    name: "shop_client_requests_total",
    kind: Kind::Counter,
    unit: "attempts",
    labels: &[PEER, ("outcome", Values::Bounded("ok, refused, failed, broken"))],
    help: "Attempts to call another service: ok below 400, refused below 500, failed otherwise; broken were not made, \
           because the circuit was open.",
    absent: "in services that call no others",
};

/// All of them.
pub(super) const METRICS: &[Metric] = &[REQUESTS, DURATION, PANICS, TELEMETRY_LOST, CALLS];
