//! One sink's lane: its queue, its worker, its outbox and its counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::task::AbortOnDropHandle;
use watchdog_core::incident::Incident;
use watchdog_core::units::WallTime;

use super::outbox::Outbox;
use super::queue::{AfterFailure, Changes, Failure, Key, Next, Queue};
use super::record::{Record, Snapshot, Told};
use super::{Ended, Observer, Options, SinkStats, wall_now};
use crate::sink::{Delivery, DeliveryError, ErrorKind, Progress, Sink};

/// One sink with everything that waits for it.
pub(super) struct Lane {
    sink: Arc<dyn Sink>,
    options: Options,
    state: Mutex<State>,
    outbox: Option<Outbox>,
    observer: Arc<dyn Observer>,
    /// Something changed that the worker waits for.
    wake: Notify,
    /// Groups of incidents that something is owed of.
    outstanding: watch::Sender<usize>,
    counts: Counts,
}

struct State {
    queue: Queue,
    closed: bool,
}

#[derive(Default)]
struct Counts {
    delivered: AtomicU64,
    retried: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
    /// The bits of the time of the last step that worked; 0 before it.
    last_success: AtomicU64,
}

fn count(counter: &AtomicU64, by: usize) {
    counter.fetch_add(by as u64, Ordering::Relaxed);
}

impl Lane {
    pub(super) fn new(
        sink: Arc<dyn Sink>,
        options: Options,
        outbox: Option<(Outbox, Vec<(Key, Record)>)>,
        observer: Arc<dyn Observer>,
    ) -> Self {
        let (outbox, left) =
            outbox.map_or((None, Vec::new()), |(outbox, left)| (Some(outbox), left));
        let queue = Queue::new(sink.habits(), left, Instant::now());
        Self {
            sink,
            options,
            outstanding: watch::Sender::new(queue.owed()),
            state: Mutex::new(State { queue, closed: false }),
            outbox,
            observer,
            wake: Notify::new(),
            counts: Counts::default(),
        }
    }

    /// Changes the state, and lets those who wait see it.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state);
        self.outstanding.send_replace(state.queue.owed());
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a record's present state written, or its absence.
    fn save(&self, state: &State, key: Key) {
        if let Some(outbox) = &self.outbox {
            outbox.save(key, state.queue.record(key));
        }
    }

    pub(super) fn submit(&self, incident: Arc<Incident>) {
        if incident.told.is_none() && !self.sink.habits().suspicions {
            return;
        }
        let changes = self.change(|state| {
            if state.closed {
                return Changes { given_up: vec![incident.id.clone()], ..Changes::default() };
            }
            let changes = state.queue.submit(incident, Instant::now(), wall_now(), &self.options);
            for key in changes.changed.iter().chain(&changes.removed) {
                self.save(state, *key);
            }
            changes
        });
        count(&self.counts.dropped, changes.given_up.len());
        for incident in changes.given_up {
            let sink = self.sink.name();
            tracing::warn!(sink, incident, "report put aside, too many wait or the pipeline ended");
        }
        self.wake.notify_one();
    }

    /// The worker: delivers what is due until it is aborted.
    pub(super) async fn run(self: Arc<Self>) {
        loop {
            let next = self.change(|state| {
                let next = state.queue.next(Instant::now(), wall_now());
                if let Next::Deliver(key, _) = &next {
                    self.save(state, *key);
                }
                next
            });
            match next {
                Next::Deliver(key, snapshot) => self.deliver(key, snapshot).await,
                Next::Nothing => self.wake.notified().await,
                Next::WaitUntil(at) => tokio::select! {
                    () = sleep_until(at) => {}
                    () = self.wake.notified() => {}
                },
            }
        }
    }

    /// Waits for the disk, but not long.
    pub(super) async fn settled(&self) {
        if let Some(outbox) = &self.outbox {
            outbox.settled().await;
        }
    }

    /// One step. What is about to be tried is on the disk first: if this is the watchdog's end, the next one knows.
    async fn deliver(&self, key: Key, snapshot: Snapshot) {
        self.settled().await;
        let started = wall_now();
        let snapshot = Arc::new(snapshot);
        match self.attempt(Arc::clone(&snapshot)).await {
            Ok(progress) => self.stepped(key, &snapshot, progress, started),
            Err(error) => self.failed(key, &snapshot, error, started),
        }
    }

    fn stepped(&self, key: Key, snapshot: &Snapshot, progress: Progress, started: WallTime) {
        let now = Instant::now();
        let (told, attempts) = self.change(|state| {
            let Progress { memory, more } = progress;
            let told = state.queue.stepped(key, snapshot, memory, more, now);
            self.save(state, key);
            for revived in state.queue.revive(now) {
                self.save(state, revived);
            }
            told
        });
        count(&self.counts.delivered, told.len());
        self.counts.last_success.store(wall_now().0.to_bits(), Ordering::Relaxed);
        for Told { incident, .. } in &told {
            let (sink, state) = (self.sink.name(), incident.state.as_str());
            tracing::info!(sink, incident = incident.id, state, "report delivered");
        }
        self.observe(&told, attempts, started, Ok(()));
    }

    fn observe(&self, news: &[Told], attempts: u32, started: WallTime, outcome: Result<(), &str>) {
        let (sink, finished) = (self.sink.name(), wall_now());
        for Told { incident, submitted } in news {
            let (incident, submitted) = (incident.as_ref(), *submitted);
            let ended = Ended { incident, sink, submitted, started, finished, attempts, outcome };
            self.observer.ended(&ended);
        }
    }

    fn failed(&self, key: Key, snapshot: &Snapshot, error: DeliveryError, started: WallTime) {
        let (may_pass, after) = match error.kind {
            ErrorKind::Permanent => (false, None),
            ErrorKind::Retry { after } => (true, after),
        };
        let text = error.text.clone();
        let failure = Failure { may_pass, after, unsure: error.unsure, text };
        let after_failure = self.change(|state| {
            let result = state.queue.failed(key, snapshot, failure, Instant::now(), &self.options);
            self.save(state, key);
            result
        });
        let (sink, error) = (self.sink.name(), error.text);
        let id = snapshot.incidents.first().map_or("", |incident| incident.id.as_str());
        match after_failure {
            AfterFailure::TryAgain => {
                count(&self.counts.retried, 1);
                tracing::warn!(sink, incident = id, error, "report not delivered, trying again");
            }
            AfterFailure::GiveUp(untold, attempts) => {
                count(&self.counts.failed, 1);
                self.observe(&untold, attempts, started, Err(&error));
                tracing::error!(sink, incident = id, error, "report given up until the next start");
            }
            AfterFailure::Skip => {
                tracing::warn!(sink, incident = id, error, "a part of a report is left out");
            }
        }
    }

    /// One attempt within its deadline, in a task of its own: a sink that panics does not end the worker.
    async fn attempt(&self, snapshot: Arc<Snapshot>) -> Result<Progress, DeliveryError> {
        let sink = Arc::clone(&self.sink);
        let attempt = tokio::spawn(async move {
            let Snapshot { incidents, memory, unsure_since } = snapshot.as_ref();
            let memory = memory.as_ref();
            sink.deliver(Delivery { incidents, memory, unsure_since: *unsure_since }).await
        });
        let deadline = self.options.attempt_deadline;
        match timeout(deadline, AbortOnDropHandle::new(attempt)).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(DeliveryError::unsure("the sink itself failed, which is a defect")),
            Err(_) => Err(DeliveryError::unsure(format!("no answer within {deadline:?}"))),
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

    /// Takes nothing more; what nobody was told is logged and counted, and waits on the disk for the next start.
    pub(super) async fn close(&self) -> usize {
        let left = self.change(|state| {
            state.closed = true;
            state.queue.untold()
        });
        self.settled().await;
        self.outstanding.send_replace(0);
        let kept = self.outbox.is_some();
        count(&self.counts.dropped, left.len());
        for incident in &left {
            let sink = self.sink.name();
            tracing::error!(sink, incident, kept, "report not delivered before the end");
        }
        left.len()
    }

    /// The newest state of every incident that is known.
    pub(super) fn incidents(&self) -> Vec<Incident> {
        self.lock().queue.incidents().cloned().collect()
    }

    pub(super) fn stats(&self) -> SinkStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        // One lock after the other: the worker holds the first while it takes the second.
        let (dead, oldest) = {
            let state = self.lock();
            let dead: Vec<_> =
                state.queue.dead().map(|dead| (dead.may_pass, dead.crowded)).collect();
            (dead, state.queue.oldest(Instant::now()))
        };
        let last_success = read(&self.counts.last_success);
        let queued = *self.outstanding.borrow();
        SinkStats {
            sink: self.sink.name(),
            delivered: read(&self.counts.delivered),
            retried: read(&self.counts.retried),
            failed: read(&self.counts.failed),
            dropped: read(&self.counts.dropped),
            queued,
            capacity: self.options.capacity,
            oldest,
            last_success: (last_success > 0).then(|| WallTime(f64::from_bits(last_success))),
            dead: dead.len(),
            refused: dead.iter().filter(|(may_pass, _)| !may_pass).count(),
            crowded: dead.iter().filter(|(_, crowded)| *crowded).count(),
        }
    }
}
