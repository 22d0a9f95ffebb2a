//! The life of a service as a program: logs, start, wait for a signal, drain.

use std::io;

use anyhow::Context as _;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::kit::Kit;
use crate::options::Options;
use crate::peers::Peer;
use crate::service::Service;
use crate::telemetry::Telemetry;

/// Runs a service until SIGTERM or SIGINT, then drains it. `build` makes it from its kit, within the runtime.
///
/// # Errors
/// When telemetry, the service, a port or the signals cannot be set up; the text says which and how to mend it.
pub fn run<F>(service: Peer, options: Options, build: impl FnOnce(Kit) -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<Service>>,
{
    let runtime =
        Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    let ended = runtime.block_on(live(service, options, build));
    // Whatever is still blocked somewhere does not keep the process.
    runtime.shutdown_background();
    ended
}

async fn live<F>(
    service: Peer,
    options: Options,
    build: impl FnOnce(Kit) -> F,
) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<Service>>,
{
    let kit = Kit::new(service, options)?;
    let telemetry = Telemetry::start(&kit)?;
    count_panics(kit.metrics().panics.clone());
    let lived = serve(kit, build).await;
    telemetry.stop().await;
    lived
}

async fn serve<F>(kit: Kit, build: impl FnOnce(Kit) -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<Service>>,
{
    let mut signals = Signals::listen().context("cannot wait for signals")?;
    let running = tokio::select! {
        started = async { anyhow::Ok(build(kit).await?.start().await?) } => started?,
        signal = signals.next() => {
            tracing::info!(signal, "told to end before it had started");
            return Ok(());
        }
    };
    let signal = signals.next().await;
    tracing::info!(signal, "draining");
    if running.stop().await {
        tracing::info!("drained");
    } else {
        tracing::warn!("something was cut off: it did not end in time");
    }
    Ok(())
}

/// Counts every panic and logs it; a panicking handler ends its own request only, which would otherwise be easy to
/// overlook.
fn count_panics(panics: prometheus::IntCounter) {
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        panics.inc();
        tracing::error!(panic = %info, "a thread or task panicked");
        previous(info);
    }));
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
