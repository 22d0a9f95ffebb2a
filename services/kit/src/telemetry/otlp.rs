//! Spans on their way to an OpenTelemetry collector over HTTP. The queue is bounded, and what it drops is counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, SpanExporter as OtlpExporter, WithExportConfig as _,
    WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, Span, SpanData, SpanExporter,
    SpanProcessor,
};
use prometheus::IntCounter;
use tokio::runtime::Handle;
use url::Url;

use crate::kit::Kit;

/// Spans that wait at most. One has about a kilobyte.
const QUEUE: usize = 4096;

/// Spans of one request to the collector at most.
const BATCH: usize = 512;

/// How long a span waits for others.
const GATHER: Duration = Duration::from_secs(1);

/// How long the collector may take for one batch.
const DEADLINE: Duration = Duration::from_secs(5);

/// Gives spans their ids; exports them only where a collector is configured. `OTEL_TRACES_SAMPLER` is heeded. Needs a
/// runtime.
pub(super) fn provider(
    kit: &Kit,
    http: reqwest::Client,
    lost: IntCounter,
) -> Result<SdkTracerProvider, ExporterBuildError> {
    let resource = Resource::builder().with_service_name(kit.service().name()).build();
    let builder = SdkTracerProvider::builder().with_resource(resource);
    let Some(endpoint) = &kit.options().otlp_endpoint else { return Ok(builder.build()) };
    let exporter = OtlpExporter::builder()
        .with_http()
        .with_http_client(Transport { http, runtime: Handle::current() })
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(traces(endpoint))
        .build()?;
    let waiting = Arc::new(AtomicUsize::new(0));
    let exporter = Counted { exporter, waiting: Arc::clone(&waiting), lost: lost.clone() };
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(QUEUE)
        .with_max_export_batch_size(BATCH)
        .with_scheduled_delay(GATHER)
        .build();
    let batches = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
    Ok(builder.with_span_processor(Bounded { batches, waiting, lost }).build())
}

/// The specification adds the path to the endpoint of the environment.
fn traces(endpoint: &Url) -> String {
    format!("{}/v1/traces", endpoint.as_str().trim_end_matches('/'))
}

/// Our own client. The SDK's threads have no runtime, so the request is a task of ours.
#[derive(Debug)]
struct Transport {
    http: reqwest::Client,
    runtime: Handle,
}

#[async_trait::async_trait]
impl HttpClient for Transport {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let request = self
            .http
            .post(parts.uri.to_string())
            .headers(parts.headers)
            .timeout(DEADLINE)
            .body(body);
        let sent = self.runtime.spawn(async move {
            let answer = request.send().await?;
            let status = answer.status();
            Ok::<_, reqwest::Error>((status, answer.bytes().await?))
        });
        let (status, body) = sent.await?.map_err(reqwest::Error::without_url)?;
        let mut response = Response::new(body);
        *response.status_mut() = status;
        Ok(response)
    }
}

/// Takes spans while there is room.
#[derive(Debug)]
struct Bounded {
    batches: BatchSpanProcessor,
    waiting: Arc<AtomicUsize>,
    lost: IntCounter,
}

impl SpanProcessor for Bounded {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        let room = |waiting| (waiting < QUEUE).then_some(waiting + 1);
        match self.waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, room) {
            Ok(_) => self.batches.on_end(span),
            Err(_) => self.lost.inc(),
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, within: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(within)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

/// Counts what left the queue, and what was not taken.
#[derive(Debug)]
struct Counted {
    exporter: OtlpExporter,
    waiting: Arc<AtomicUsize>,
    lost: IntCounter,
}

impl SpanExporter for Counted {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        let result = self.exporter.export(batch).await;
        self.waiting.fetch_sub(count, Ordering::AcqRel);
        if result.is_err() {
            self.lost.inc_by(count as u64);
        }
        result
    }

    fn shutdown_with_timeout(&self, within: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(within)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
