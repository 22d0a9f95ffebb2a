//! The watchdog's own log: to stderr, so that stdout carries the reports alone, and to a collector where there is one.

use tracing::Dispatch;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{EnvFilter, fmt, registry};

use crate::cli::LogFormat;
use crate::otlp::Otlp;

/// Starts logging. A second call in one process is without effect.
pub fn init(format: LogFormat) {
    init_with(format, &Otlp::off());
}

/// Starts logging, also to the collector if the log is exported. To be called before anything is logged: what is exported
/// is not changed later, so that it costs nothing while nothing is.
pub fn init_with(format: LogFormat, otlp: &Otlp) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = dispatch(format, filter, std::io::stderr, otlp);
    // Whoever embeds the watchdog may log already.
    tracing::dispatcher::set_global_default(log).ok();
}

/// What takes the log: lines for the writer and records for the collector, of what the filter lets through.
pub(crate) fn dispatch<W>(format: LogFormat, filter: EnvFilter, writer: W, otlp: &Otlp) -> Dispatch
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_writer(writer);
    let registry = registry().with(filter);
    match format {
        LogFormat::Text => {
            Dispatch::new(registry.with(lines.with_ansi(false)).with(otlp.log_layer()))
        }
        LogFormat::Json => Dispatch::new(registry.with(lines.json()).with(otlp.log_layer())),
    }
}
