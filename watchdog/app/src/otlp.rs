//! The watchdog's own traces and log for an OpenTelemetry collector: each incident is a trace, and each report a span
//! with the steps of the race. Off unless it is configured, and then one check of an `Option`.

mod client;
mod config;
mod ids;
mod milestones;
mod queue;
mod signal;
mod spans;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::{
    LogExporter, Protocol, RetryPolicy, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::trace::SpanData;
use tokio::runtime::Handle;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;
use watchdog_core::incident::Incident;
use watchdog_core::units::WallTime;
use watchdog_report::pipeline::{Ended, Observer};

use client::{SignalClient, Transport};
pub use config::{Batching, OtlpConfig, OtlpError};
use milestones::OpenIncidents;
use queue::{LogQueue, SpanQueue};
pub use signal::Counts;
use signal::{LOG_TARGET, Signal};
use spans::SpanMaker;

/// A step on the way to the function's name, as it ended.
#[derive(Clone, Copy, Debug)]
pub struct StepRecord<'a> {
    /// What it was done for.
    pub incident: &'a Incident,
    /// When it began.
    pub started: WallTime,
    /// When it ended.
    pub finished: WallTime,
    /// What came of it – the id of the heap dump, or the function – or why nothing did.
    pub outcome: Result<&'a str, &'a str>,
}

/// The export, or nothing. Clones are the same export.
#[derive(Clone, Debug, Default)]
pub struct Otlp(Option<Arc<Running>>);

struct Running {
    transport: Arc<Transport>,
    traces: Option<Traces>,
    logs: Option<Logs>,
}

struct Traces {
    signal: Arc<Signal>,
    queue: SpanQueue,
    maker: SpanMaker,
    open: Mutex<OpenIncidents>,
}

struct Logs {
    signal: Arc<Signal>,
    provider: SdkLoggerProvider,
}

impl Otlp {
    /// Exports nothing.
    pub fn off() -> Self {
        Self::default()
    }

    /// Starts a thread for each signal. Connects to nothing before there is something to export.
    ///
    /// # Errors
    /// [`OtlpError`] when the address or a header cannot be used, or outside a tokio runtime. A collector that is not
    /// there is no error: that is said in the log, and tried again.
    pub fn start(config: &OtlpConfig) -> Result<Self, OtlpError> {
        let runtime = Handle::try_current().map_err(|_| OtlpError::Runtime)?;
        let (http, headers) = (config.client()?, config.header_map()?);
        let transport = Arc::new(Transport::new(http, headers, config.timeout, runtime));
        let traces = config.traces.then(|| Traces::start(config, &transport)).transpose()?;
        let logs = config.logs.then(|| Logs::start(config, &transport)).transpose()?;
        Ok(Self(Some(Arc::new(Running { transport, traces, logs }))))
    }

    /// What exports the log, for the subscriber. It leaves out what the export itself and its HTTP client log, which would
    /// go round in circles.
    pub fn log_layer<S>(&self) -> Option<impl Layer<S> + Send + Sync + use<S>>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let logs = self.0.as_ref()?.logs.as_ref()?;
        let bridge = OpenTelemetryTracingBridge::new(&logs.provider);
        Some(bridge.with_filter(filter_fn(is_exported)))
    }

    /// To be told of every change of an incident, also while people are not told. Exports the root span when it ends.
    pub fn changed(&self, incident: &Incident) {
        let Some(traces) = self.traces() else { return };
        let mut open = traces.open.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = open.changed(incident);
        drop(open);
        if let Some(milestones) = ended {
            traces.queue.submit(traces.maker.incident(incident, milestones));
        }
    }

    /// A heap profile was taken for an incident, or not; `Ok` holds the id of the dump.
    pub fn heap_profile(&self, record: &StepRecord<'_>) {
        self.submit(|maker| maker.step("heap profile", "oomen.dump.id", record));
    }

    /// The function was looked for; `Ok` holds its name.
    pub fn name_function(&self, record: &StepRecord<'_>) {
        self.submit(|maker| maker.step("name function", "code.function.name", record));
    }

    /// How much was exported and lost, of each signal that is on.
    pub fn counts(&self) -> impl Iterator<Item = Counts> {
        self.0.iter().flat_map(|running| running.signals()).map(Signal::counts)
    }

    /// Exports what waits and ends; takes no longer than this, whatever the collector does. Says what was lost.
    pub async fn shutdown(&self, within: Duration) {
        let Some(running) = &self.0 else { return };
        running.transport.closing();
        let (one, other) = (Arc::clone(running), Arc::clone(running));
        // The SDK blocks; side by side, because each may need all of the time.
        let traces = tokio::task::spawn_blocking(move || one.shut_traces(within));
        let logs = tokio::task::spawn_blocking(move || other.shut_logs(within));
        let both = async { tokio::join!(traces, logs) };
        tokio::time::timeout(within, both).await.ok();
        running.transport.close();
        running.signals().for_each(Signal::close);
    }

    fn traces(&self) -> Option<&Traces> {
        self.0.as_ref()?.traces.as_ref()
    }

    fn submit(&self, make: impl FnOnce(&SpanMaker) -> SpanData) {
        if let Some(traces) = self.traces() {
            traces.queue.submit(make(&traces.maker));
        }
    }
}

impl Observer for Otlp {
    /// A report has reached people, or was given up: a span from the decision to there.
    fn ended(&self, ended: &Ended<'_>) {
        self.submit(|maker| maker.delivery(ended));
    }
}

impl Running {
    fn signals(&self) -> impl Iterator<Item = &Signal> {
        let traces = self.traces.iter().map(|traces| traces.signal.as_ref());
        traces.chain(self.logs.iter().map(|logs| logs.signal.as_ref()))
    }

    fn shut_traces(&self, within: Duration) {
        self.traces.iter().for_each(|traces| traces.queue.shutdown(within));
    }

    fn shut_logs(&self, within: Duration) {
        // What did not get away is counted.
        self.logs.iter().for_each(|logs| drop(logs.provider.shutdown_with_timeout(within)));
    }
}

impl Drop for Running {
    /// Whoever drops it without having shut it down does not wait: the SDK would, for five seconds.
    fn drop(&mut self) {
        self.transport.close();
        self.shut_logs(Duration::ZERO);
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.signals()).finish()
    }
}

impl Traces {
    fn start(config: &OtlpConfig, transport: &Arc<Transport>) -> Result<Self, OtlpError> {
        let url = config.url("/v1/traces");
        let batching = config.batching.sane();
        let signal = Arc::new(Signal::new("traces", url.clone(), batching.queue));
        let client = SignalClient::new(Arc::clone(transport), Arc::clone(&signal));
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(url)
            .with_retry_policy(RetryPolicy::disabled())
            .build()?;
        let queue = SpanQueue::start(exporter, Arc::clone(&signal), &batching, &config.resource());
        Ok(Self { signal, queue, maker: SpanMaker::new(), open: Mutex::default() })
    }
}

impl Logs {
    fn start(config: &OtlpConfig, transport: &Arc<Transport>) -> Result<Self, OtlpError> {
        let url = config.url("/v1/logs");
        let batching = config.batching.sane();
        let signal = Arc::new(Signal::new("logs", url.clone(), batching.queue));
        let client = SignalClient::new(Arc::clone(transport), Arc::clone(&signal));
        let exporter = LogExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(url)
            .with_retry_policy(RetryPolicy::disabled())
            .build()?;
        let queue = LogQueue::start(exporter, Arc::clone(&signal), &batching);
        let provider = SdkLoggerProvider::builder().with_log_processor(queue);
        Ok(Self { signal, provider: provider.with_resource(config.resource()).build() })
    }
}

/// What is worth a collector's space. Not what the export and its HTTP client log: each request would cause another.
fn is_exported(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    let origin = target.split("::").next().unwrap_or_default();
    let own = origin.starts_with("opentelemetry") || target == LOG_TARGET;
    !own && !matches!(
        origin,
        "h2" | "hyper" | "hyper_util" | "mio" | "reqwest" | "rustls" | "tower"
    )
}
