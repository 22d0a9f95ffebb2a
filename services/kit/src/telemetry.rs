//! Logs to stdout and Loki, traces to an OpenTelemetry collector.

mod lines;
mod loki;
mod otlp;
#[cfg(test)]
mod tests;

use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::kit::Kit;
use crate::options::LogFormat;
use lines::Lines;
use loki::Loki;

/// How long the last lines and spans may take at the end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Why telemetry cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TelemetryError {
    /// The filter is malformed.
    #[error(
        "--log (SHOP_LOG) `{filter}` is no filter: {source}; write e.g. `info,services_kit=debug`"
    )]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// The exporter cannot be built.
    #[error("cannot set up traces (OTEL_EXPORTER_OTLP_ENDPOINT): {0}")]
    Otlp(#[from] opentelemetry_otlp::ExporterBuildError),
    /// No HTTP client.
    #[error("cannot set up HTTP for telemetry: {0}")]
    Client(String),
    /// Somebody set a subscriber before.
    #[error("logging was set up twice: {0}")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// What is told to others while the service runs.
pub(crate) struct Telemetry {
    provider: SdkTracerProvider,
    loki: Option<Loki>,
}

impl Telemetry {
    /// Sets the subscriber of the process. Needs a runtime.
    pub(crate) fn start(kit: &Kit) -> Result<Self, TelemetryError> {
        let (telemetry, subscriber) = Self::build(kit)?;
        subscriber.try_init()?;
        Ok(telemetry)
    }

    /// A subscriber, and what it tells.
    fn build(kit: &Kit) -> Result<(Self, impl Subscriber + Send + Sync + 'static), TelemetryError> {
        let options = kit.options();
        let filter = || {
            EnvFilter::try_new(&options.log)
                .map_err(|source| TelemetryError::Filter { filter: options.log.clone(), source })
        };
        let https = [&options.loki_url, &options.otlp_endpoint];
        let https = https.into_iter().flatten().any(|url| url.scheme() == "https");
        let http = crate::client::http(https)
            .map_err(|error| TelemetryError::Client(error.to_string()))?;
        let lost = &kit.metrics().lost;
        let provider = otlp::provider(kit, http.clone(), lost.with_label_values(&["traces"]))?;
        let spans = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("services-kit"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_target(false)
            .with_level(false)
            .with_filter(filter_fn(is_own_span));
        let loki = options
            .loki_url
            .as_ref()
            .map(|url| Loki::start(url, kit.service(), http, lost.with_label_values(&["logs"])));
        let text = options.log_format == LogFormat::Text;
        let for_people = text
            .then(|| -> Result<_, TelemetryError> {
                Ok(tracing_subscriber::fmt::layer().with_ansi(false).with_filter(filter()?))
            })
            .transpose()?;
        let for_programs = (!text || loki.is_some())
            .then(|| -> Result<_, TelemetryError> {
                let queue = loki.as_ref().map(Loki::queue);
                Ok(Lines::new(kit.service(), !text, queue).with_filter(filter()?))
            })
            .transpose()?;
        let subscriber =
            tracing_subscriber::registry().with(spans).with(for_people).with(for_programs);
        Ok((Self { provider, loki }, subscriber))
    }

    /// Tells what is left, within 2 s.
    pub(crate) async fn stop(self) {
        let Self { provider, loki } = self;
        // The SDK blocks.
        let spans = tokio::task::spawn_blocking(move || {
            // What did not get away is counted.
            provider.shutdown_with_timeout(LAST_WORDS).ok();
        });
        let lines = async {
            if let Some(loki) = loki {
                loki.stop().await;
            }
        };
        tokio::time::timeout(LAST_WORDS, async { tokio::join!(spans, lines) }).await.ok();
    }
}

/// Spans of the shop. Those of libraries would be many, and name what nobody here can change.
fn is_own_span(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target().starts_with("services_")
}
