//! A thread that allocates all the time and knows how long it was kept from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::churn::Churn;
use crate::machine;

/// Such a thread; it ends with its owner.
pub(crate) struct Worker {
    longest: Arc<AtomicU64>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts it, on the processor of what is measured.
    pub(crate) fn start() -> Result<Self> {
        let (longest, ends) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (seen, end) = (Arc::clone(&longest), Arc::clone(&ends));
        let work = move || {
            // On a machine with one processor it shares it, and that shows in the figures without a capture too.
            let _ = machine::pin(machine::MEASURED);
            let mut churn = Churn::new(7);
            let mut before = Instant::now();
            while !end.load(Ordering::Relaxed) {
                churn.step();
                let now = Instant::now();
                let gap = now.duration_since(before).as_nanos();
                seen.fetch_max(u64::try_from(gap).unwrap_or(u64::MAX), Ordering::Relaxed);
                before = now;
            }
        };
        let thread =
            thread::Builder::new().spawn(work).context("the worker thread does not start")?;
        Ok(Self { longest, ends, thread: Some(thread) })
    }

    /// The longest time between two allocations since this was asked last.
    pub(crate) fn longest(&self) -> Duration {
        Duration::from_nanos(self.longest.swap(0, Ordering::Relaxed))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has nothing to say but that it panicked, which the test harness shows.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_stall_is_told_once() {
        let worker = Worker::start().unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while worker.longest().is_zero() {
            assert!(Instant::now() < deadline, "the worker does not run");
            thread::yield_now();
        }
        drop(worker);
    }
}
