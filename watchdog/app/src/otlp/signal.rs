//! One of the two things that are exported, traces or logs: how many wait, how many were lost, and whether the collector
//! takes them. What is wrong is said when it begins and when it ends, not with every batch.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// The target of what is logged here; it is not exported itself.
pub(super) const LOG_TARGET: &str = "oomen::otlp";

/// The state of one signal.
#[derive(Debug)]
pub(super) struct Signal {
    name: &'static str,
    endpoint: String,
    capacity: usize,
    waiting: AtomicUsize,
    exported: AtomicU64,
    /// Of the exported ones, those that the collector then rejected.
    rejected: AtomicU64,
    lost: AtomicU64,
    /// What was lost when it was last said.
    said: AtomicU64,
    failing: AtomicBool,
    full: AtomicBool,
    closed: AtomicBool,
}

/// How much of a signal went where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// `traces` or `logs`.
    pub signal: &'static str,
    /// Spans or records that the collector has taken.
    pub exported: u64,
    /// Those that were dropped: the queue was full, or the collector refused them or stayed away for too long.
    pub lost: u64,
    /// Those that wait now.
    pub waiting: u64,
}

impl Signal {
    /// A signal of which at most `capacity` items wait at a time; the endpoint is shown in messages.
    pub(super) fn new(name: &'static str, endpoint: String, capacity: usize) -> Self {
        Self {
            name,
            endpoint,
            capacity,
            waiting: AtomicUsize::new(0),
            exported: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            said: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            full: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        }
    }

    /// Takes a place in the queue; false, and one more lost, where there is none. After the end there is nothing.
    pub(super) fn enter(&self) -> bool {
        if self.closed.load(Ordering::Acquire) {
            return false;
        }
        let room = |waiting| (waiting < self.capacity).then_some(waiting + 1);
        let entered = self.waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, room).is_ok();
        if !entered {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        entered
    }

    /// So many have left the queue.
    pub(super) fn leave(&self, count: usize, exported: bool) {
        self.waiting.fetch_sub(count, Ordering::AcqRel);
        let sum = if exported { &self.exported } else { &self.lost };
        sum.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// An attempt failed.
    pub(super) fn failed(&self, error: &dyn std::fmt::Display) {
        if !self.failing.swap(true, Ordering::AcqRel) {
            let (signal, endpoint) = (self.name, &self.endpoint);
            tracing::warn!(target: LOG_TARGET, signal, endpoint, %error, "OTLP export fails");
        }
    }

    /// The collector took a batch. Only here is it said that the queue was full: whoever fills it may be logging just now.
    pub(super) fn took(&self) {
        let lost = self.counts().lost;
        let (signal, lost) = (self.name, lost - self.said.swap(lost, Ordering::AcqRel).min(lost));
        if self.failing.swap(false, Ordering::AcqRel) {
            tracing::info!(target: LOG_TARGET, signal, lost, "OTLP export works again");
        } else if lost == 0 {
            self.full.store(false, Ordering::Release);
        } else if !self.full.swap(true, Ordering::AcqRel) {
            tracing::warn!(target: LOG_TARGET, signal, lost, "the queue for OTLP was full");
        }
    }

    /// The collector took a batch but for some of it.
    pub(super) fn rejected(&self, count: u64) {
        self.rejected.fetch_add(count, Ordering::Relaxed);
        self.failed(&format_args!(
            "the collector took a batch but rejected {count} items of it: its own log says why"
        ));
    }

    /// The end: nothing more comes in, and what was not exported is said.
    pub(super) fn close(&self) {
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        let counts = self.counts();
        let lost = counts.lost.saturating_add(counts.waiting);
        if lost > 0 {
            let signal = self.name;
            tracing::warn!(target: LOG_TARGET, signal, lost, "not everything was exported by OTLP");
        }
    }

    /// How much went where.
    pub(super) fn counts(&self) -> Counts {
        let rejected = self.rejected.load(Ordering::Relaxed);
        Counts {
            signal: self.name,
            exported: self.exported.load(Ordering::Relaxed).saturating_sub(rejected),
            lost: self.lost.load(Ordering::Relaxed).saturating_add(rejected),
            waiting: self.waiting.load(Ordering::Acquire) as u64,
        }
    }
}
