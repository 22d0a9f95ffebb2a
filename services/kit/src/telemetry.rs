//! Logs, and a count of panics.

use tracing_subscriber::EnvFilter;

use crate::options::{LogFormat, Options};

/// A log filter that does not parse.
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
    /// Somebody set a subscriber before.
    #[error("logging was set up twice: {0}")]
    Twice(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Logs go to stderr: stdout is for what a program was asked for.
pub(crate) fn start(options: &Options) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(&options.log)
        .map_err(|source| TelemetryError::Filter { filter: options.log.clone(), source })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match options.log_format {
        LogFormat::Text => lines.with_ansi(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    }
    .map_err(TelemetryError::Twice)
}

/// Counts every panic and logs it; a panicking handler ends its own connection only, which would otherwise be easy
/// to overlook.
pub(crate) fn count_panics(panics: prometheus::IntCounter) {
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        panics.inc();
        tracing::error!(panic = %info, "a thread or task panicked");
        previous(info);
    }));
}
