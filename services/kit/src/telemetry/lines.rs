//! Log lines as JSON, one object each: to stdout, and to Loki's queue.

use std::io::Write as _;

use jiff::Timestamp;
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt as _;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context as LayerContext;

use super::loki::Queue;
use crate::peers::Peer;
use crate::request_id::RequestId;

/// Writes each event as one line: `timestamp`, `level`, `target`, `service`, `message`, the event's own fields, and
/// within a request `trace_id`, `span_id` and `request_id`.
pub(super) struct Lines {
    service: Peer,
    to_stdout: bool,
    queue: Option<Queue>,
}

impl Lines {
    pub(super) fn new(service: Peer, to_stdout: bool, queue: Option<Queue>) -> Self {
        Self { service, to_stdout, queue }
    }

    fn render(&self, event: &Event<'_>, now: Timestamp) -> String {
        let mut line = Fields(Map::new());
        event.record(&mut line);
        let Fields(mut line) = line;
        let metadata = event.metadata();
        line.insert("timestamp".into(), format!("{now:.6}").into());
        line.insert("level".into(), metadata.level().as_str().into());
        line.insert("target".into(), metadata.target().into());
        line.insert("service".into(), self.service.name().into());
        let context = Context::current();
        let span = context.span();
        let span = span.span_context();
        if span.is_valid() {
            line.insert("trace_id".into(), span.trace_id().to_string().into());
            line.insert("span_id".into(), span.span_id().to_string().into());
        }
        if let Some(id) = RequestId::current() {
            line.insert("request_id".into(), id.as_str().into());
        }
        Value::Object(line).to_string()
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: LayerContext<'_, S>) {
        let now = Timestamp::now();
        let mut line = self.render(event, now);
        if self.to_stdout {
            line.push('\n');
            // Where nobody reads there is nobody to tell.
            std::io::stdout().lock().write_all(line.as_bytes()).ok();
            line.pop();
        }
        if let Some(queue) = &self.queue {
            queue.offer(event.metadata(), now, line);
        }
    }
}

/// The fields of an event. Its own `service` and the like give way to ours.
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}
