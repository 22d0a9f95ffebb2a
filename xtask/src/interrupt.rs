//! Ctrl-C: what was started is stopped and its cgroups are removed, instead of being left behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

const POLL: Duration = Duration::from_millis(100);

/// Whether somebody wants an end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From now on SIGINT and SIGTERM do not end this process; they are told here.
    pub(crate) fn catch() -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let entered = runtime.enter();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        drop(entered);
        let this = Self::default();
        let told = this.clone();
        std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            });
            told.0.store(true, Ordering::Release);
        });
        Ok(this)
    }

    /// Whether it came.
    pub(crate) fn came(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Sleeps; an error as soon as it came.
    pub(crate) fn sleep_until(&self, moment: Instant) -> Result<()> {
        while !moment.saturating_duration_since(Instant::now()).is_zero() {
            self.check()?;
            std::thread::sleep(POLL.min(moment.saturating_duration_since(Instant::now())));
        }
        self.check()
    }

    /// An error once it came.
    pub(crate) fn check(&self) -> Result<()> {
        ensure!(!self.came(), "interrupted");
        Ok(())
    }
}
