//! One sink's lane: its queue, its worker and its counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::task::AbortOnDropHandle;
use watchdog_core::incident::Incident;

use super::queue::{AfterFailure, Next, Pending, Queue};
use super::{Options, SinkStats};
use crate::sink::{Delivery, DeliveryError, ErrorKind, Sink};

/// One sink with everything that waits for it.
pub(super) struct Lane {
    sink: Arc<dyn Sink>,
    options: Options,
    state: Mutex<State>,
    /// Something changed that the worker waits for.
    wake: Notify,
    /// States that wait or are being delivered.
    outstanding: watch::Sender<usize>,
    counts: Counts,
}

#[derive(Default)]
struct State {
    queue: Queue,
    in_flight: Option<Arc<Incident>>,
    closed: bool,
}

#[derive(Default)]
struct Counts {
    delivered: AtomicU64,
    retried: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Lane {
    pub(super) fn new(sink: Arc<dyn Sink>, options: Options) -> Self {
        Self {
            sink,
            options,
            state: Mutex::default(),
            wake: Notify::new(),
            outstanding: watch::Sender::new(0),
            counts: Counts::default(),
        }
    }

    /// Changes the state, and lets those who wait see it.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state);
        let outstanding = state.queue.len() + usize::from(state.in_flight.is_some());
        self.outstanding.send_replace(outstanding);
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn submit(&self, incident: Arc<Incident>) {
        let capacity = self.options.capacity;
        let dropped = self.change(|state| {
            if state.closed {
                return Some(incident);
            }
            state.queue.submit(incident, Instant::now(), capacity)
        });
        if let Some(dropped) = dropped {
            count(&self.counts.dropped);
            let (sink, incident) = (self.sink.name(), &dropped.id);
            tracing::warn!(sink, incident, "report dropped, too many wait or the pipeline ended");
        }
        self.wake.notify_one();
    }

    /// The worker: delivers what is due until it is aborted.
    pub(super) async fn run(self: Arc<Self>) {
        loop {
            let next = self.change(|state| {
                let next = state.queue.next(Instant::now());
                if let Next::Deliver(pending) = &next {
                    state.in_flight = Some(Arc::clone(&pending.incident));
                }
                next
            });
            match next {
                Next::Deliver(pending) => self.deliver(pending).await,
                Next::Nothing => self.wake.notified().await,
                Next::WaitUntil(at) => tokio::select! {
                    () = sleep_until(at) => {}
                    () = self.wake.notified() => {}
                },
            }
        }
    }

    async fn deliver(&self, pending: Pending) {
        let (sink, incident) = (self.sink.name(), Arc::clone(&pending.incident));
        let (id, state) = (&incident.id, incident.state.as_str());
        let result = self.attempt(Arc::clone(&incident)).await;
        let Err(error) = result else {
            count(&self.counts.delivered);
            self.change(|state| state.in_flight = None);
            tracing::info!(sink, incident = id, state, "report delivered");
            return;
        };
        let after_failure = self.change(|state| {
            state.in_flight = None;
            match error.kind {
                ErrorKind::Permanent => AfterFailure::GiveUp,
                ErrorKind::Retry { after } => {
                    state.queue.failed(pending, after, Instant::now(), &self.options)
                }
            }
        });
        let error = error.text;
        if after_failure == AfterFailure::TryAgain {
            count(&self.counts.retried);
            tracing::warn!(sink, incident = id, state, error, "report not delivered, trying again");
        } else {
            count(&self.counts.failed);
            tracing::error!(sink, incident = id, state, error, "report given up");
        }
    }

    /// One attempt within its deadline, in a task of its own: a sink that panics does not end the worker.
    async fn attempt(&self, incident: Arc<Incident>) -> Result<(), DeliveryError> {
        let sink = Arc::clone(&self.sink);
        let attempt = tokio::spawn(async move {
            let incidents = std::slice::from_ref(incident.as_ref());
            let delivery = Delivery { incidents, memory: None, unsure_since: None };
            sink.deliver(delivery).await.map(drop)
        });
        let deadline = self.options.attempt_deadline;
        match timeout(deadline, AbortOnDropHandle::new(attempt)).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(DeliveryError::retry("the sink itself failed, which is a defect")),
            Err(_) => Err(DeliveryError::retry(format!("no answer within {deadline:?}"))),
        }
    }

    pub(super) async fn warm_up(self: Arc<Self>) {
        let deadline = self.options.attempt_deadline;
        let result = timeout(deadline, self.sink.warm_up()).await.unwrap_or_else(|_| {
            Err(DeliveryError::retry(format!("no answer within {deadline:?}")))
        });
        if let Err(error) = result {
            let (sink, error) = (self.sink.name(), error.text);
            tracing::warn!(sink, error, "the sink is not ready, reports may not arrive");
        }
    }

    /// Ends the pauses between attempts.
    pub(super) fn hurry(&self) {
        self.change(|state| state.queue.hurry(Instant::now()));
        self.wake.notify_one();
    }

    /// Waits until nothing waits and nothing is being delivered.
    pub(super) async fn idle(&self) {
        // The sender lives as long as `self`.
        drop(self.outstanding.subscribe().wait_for(|outstanding| *outstanding == 0).await);
    }

    /// Takes nothing more; what is left is logged, dropped and counted.
    pub(super) fn close(&self) -> usize {
        let left = self.change(|state| {
            state.closed = true;
            let mut left = state.queue.take_all();
            // A newer state of the incident in flight waits: that is one report, not two.
            let in_flight = state.in_flight.take();
            left.extend(in_flight.filter(|one| left.iter().all(|other| other.id != one.id)));
            left
        });
        for incident in &left {
            count(&self.counts.dropped);
            let (sink, incident) = (self.sink.name(), &incident.id);
            tracing::error!(sink, incident, "report not delivered before the end");
        }
        left.len()
    }

    pub(super) fn stats(&self) -> SinkStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SinkStats {
            sink: self.sink.name(),
            delivered: read(&self.counts.delivered),
            retried: read(&self.counts.retried),
            failed: read(&self.counts.failed),
            dropped: read(&self.counts.dropped),
            queued: *self.outstanding.borrow(),
        }
    }
}
