//! The delivery pipeline: one worker and one bounded queue per sink, retries, deadlines, draining, counts.
//!
//! Nothing that is watched ever waits here: `submit` only replaces the incident's pending state. Per sink the
//! deliveries are one after the other, so that an update never overtakes the post it completes.

mod backoff;
mod lane;
mod queue;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;
use watchdog_core::incident::Incident;

use crate::sink::Sink;
use lane::Lane;

/// How long and how often deliveries are tried.
#[derive(Clone, Debug)]
pub struct Options {
    /// One attempt's deadline. A receiver that hangs longer gets the next attempt on a new connection.
    pub attempt_deadline: Duration,
    /// A state that could not be delivered for this long is given up. After a quarter of an hour most leaks that
    /// were worth a message have ended, and what is still open is told by its next change.
    pub total_deadline: Duration,
    /// The pause after the first failure; it doubles with each further one.
    pub first_pause: Duration,
    /// The longest pause between two attempts, unless the receiver asks for a longer one.
    pub longest_pause: Duration,
    /// Incidents that may wait per sink. Beyond it the oldest closed one is dropped, else the oldest.
    pub capacity: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            attempt_deadline: Duration::from_secs(10),
            total_deadline: Duration::from_secs(15 * 60),
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(60),
            capacity: 256,
        }
    }
}

/// What became of the deliveries to one sink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SinkStats {
    /// The sink's name.
    pub sink: &'static str,
    /// States delivered.
    pub delivered: u64,
    /// Attempts that failed and were, or will be, repeated.
    pub retried: u64,
    /// States given up: refused for good, or not delivered within the total deadline.
    pub failed: u64,
    /// States dropped because the queue was full or the pipeline had ended.
    pub dropped: u64,
    /// States that wait or are being delivered.
    pub queued: usize,
}

/// Delivers incidents to every sink. Dropping it ends the workers at once; see [`Pipeline::drain`].
pub struct Pipeline {
    lanes: Vec<(Arc<Lane>, AbortOnDropHandle<()>)>,
}

impl Pipeline {
    /// Starts a worker per sink and warms the sinks up. Needs a tokio runtime.
    pub fn start(sinks: Vec<Box<dyn Sink>>, options: &Options) -> Self {
        let lanes = sinks.into_iter().map(|sink| {
            let lane = Arc::new(Lane::new(Arc::from(sink), options.clone()));
            let worker = tokio::spawn(Arc::clone(&lane).run());
            (lane, AbortOnDropHandle::new(worker))
        });
        let pipeline = Self { lanes: lanes.collect() };
        pipeline.warm_up();
        pipeline
    }

    /// Hands over an incident's present state, which replaces an older one that still waits. Never blocks.
    pub fn submit(&self, incident: Incident) {
        let incident = Arc::new(incident);
        for (lane, _) in &self.lanes {
            lane.submit(Arc::clone(&incident));
        }
    }

    /// Lets every sink open its connection in the background. Worth calling when an incident is only suspected:
    /// connections that nobody used for a while are closed, and opening one costs a report's first second.
    pub fn warm_up(&self) {
        for (lane, _) in &self.lanes {
            tokio::spawn(Arc::clone(lane).warm_up());
        }
    }

    /// Tries to deliver all that waits, pauses cut short, and then ends the workers. Returns how many states were
    /// left undelivered, each of which is logged.
    pub async fn drain(&self, deadline: Duration) -> usize {
        let end = tokio::time::Instant::now() + deadline;
        self.lanes.iter().for_each(|(lane, _)| lane.hurry());
        let mut left = 0;
        for (lane, worker) in &self.lanes {
            // A timeout is no error: what is left is counted below.
            drop(tokio::time::timeout_at(end, lane.idle()).await);
            worker.abort();
            left += lane.close();
        }
        left
    }

    /// What became of the deliveries, per sink.
    pub fn stats(&self) -> Vec<SinkStats> {
        self.lanes.iter().map(|(lane, _)| lane.stats()).collect()
    }
}
