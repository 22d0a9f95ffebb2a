//! The watchdog's own log: to stderr, so that stdout carries the reports alone.

use tracing_subscriber::EnvFilter;

use crate::cli::LogFormat;

/// Starts logging. A second call in one process is without effect.
pub fn init(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => log.with_ansi(false).try_init(),
        LogFormat::Json => log.json().try_init(),
    };
    // Whoever embeds the watchdog may log already.
    started.ok();
}
