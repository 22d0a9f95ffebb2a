//! The life of a service as a program: logs, start, wait for a signal, drain.

use std::io;

use anyhow::Context as _;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::options::Options;
use crate::service::Service;
use crate::telemetry;

/// Runs a service until SIGTERM or SIGINT, then drains it.
///
/// # Errors
/// When logging, a port or the signals cannot be set up; the text says which and how to mend it.
pub fn run(service: Service, options: &Options) -> anyhow::Result<()> {
    telemetry::start(options)?;
    let runtime =
        Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    let ended = runtime.block_on(live(service, options));
    // Whatever is still blocked somewhere does not keep the process.
    runtime.shutdown_background();
    ended
}

async fn live(service: Service, options: &Options) -> anyhow::Result<()> {
    let mut signals = Signals::listen().context("cannot wait for signals")?;
    let running = service.start(options).await?;
    telemetry::count_panics(running.metrics.panics.clone());
    let signal = signals.next().await;
    tracing::info!(signal, "draining");
    if running.stop().await {
        tracing::info!("drained");
    } else {
        tracing::warn!("requests were cut off: they did not end in time");
    }
    Ok(())
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
