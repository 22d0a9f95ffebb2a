//! The delivery pipeline: one worker, one bounded queue and one outbox per sink; groups, pace, retries, deadlines.
//!
//! Nothing that is watched ever waits here: `submit` only replaces the incident's pending state. Per sink the steps are
//! one after the other, so that an update never overtakes the post it completes, the most urgent first: who was not told
//! at all comes before news, news before a further step, a step before figures.
//!
//! What is owed and what sinks remember is kept on the disk, written before an attempt and after it. A watchdog that is
//! killed in between knows at its next start that this attempt may have been taken.

mod backoff;
mod lane;
mod outbox;
mod pacer;
mod queue;
mod record;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio_util::task::AbortOnDropHandle;
use watchdog_core::incident::Incident;
use watchdog_core::units::WallTime;

use crate::sink::Sink;
use lane::Lane;
use outbox::Outbox;

/// How long and how often deliveries are tried.
#[derive(Clone, Debug)]
pub struct Options {
    /// One attempt's deadline. A receiver that hangs longer gets the next attempt on a new connection.
    pub attempt_deadline: Duration,
    /// A state that could not be delivered for this long is put aside, until the sink takes something again, something
    /// new is known of the incident, or the watchdog starts anew. After a quarter of an hour trying on costs more than
    /// it can bring.
    pub total_deadline: Duration,
    /// The pause after the first failure; it doubles with each further one.
    pub first_pause: Duration,
    /// The longest pause between two attempts, unless the receiver asks for a longer one.
    pub longest_pause: Duration,
    /// Incidents, or groups of them, that may wait per sink. Beyond it the oldest closed one is put aside, else the
    /// oldest.
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
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SinkStats {
    /// The sink's name.
    pub sink: &'static str,
    /// Pieces of news delivered.
    pub delivered: u64,
    /// Attempts that failed and were, or will be, repeated.
    pub retried: u64,
    /// Reports given up: refused for good, or not delivered within the total deadline.
    pub failed: u64,
    /// Reports put aside because the queue was full, or that came after the pipeline had ended.
    pub dropped: u64,
    /// Incidents, or groups of them, that wait or are being delivered.
    pub queued: usize,
    /// Those that may wait.
    pub capacity: usize,
    /// How long the news that waits longest has waited; `None` when none waits.
    pub oldest: Option<Duration>,
    /// When the sink last took something.
    pub last_success: Option<WallTime>,
    /// Those that were given up and are kept for another try.
    pub dead: usize,
    /// Of those, the ones that the receiver refused for good.
    pub refused: usize,
    /// Of those, the ones that too many others waited beside. What is left could not be delivered in time.
    pub crowded: usize,
}

/// A piece of news on its way to a sink, as it ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'a> {
    /// The incident as it was told.
    pub incident: &'a Incident,
    /// To whom.
    pub sink: &'static str,
    /// When it was handed to the pipeline.
    pub submitted: WallTime,
    /// When the last attempt began.
    pub started: WallTime,
    /// When the sink had taken it, or it was given up.
    pub finished: WallTime,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it was given up, if it was: until it is tried once more.
    pub outcome: Result<(), &'a str>,
}

/// Is told of what was delivered and given up. Must return at once.
pub trait Observer: Send + Sync + 'static {
    /// A sink has taken a piece of news, or it was given up.
    fn ended(&self, ended: &Ended<'_>);
}

/// Nobody looks.
impl Observer for () {
    fn ended(&self, _ended: &Ended<'_>) {}
}

/// Delivers incidents to every sink. Dropping it ends the workers at once; see [`Pipeline::drain`].
pub struct Pipeline {
    lanes: Vec<(Arc<Lane>, AbortOnDropHandle<()>)>,
}

impl Pipeline {
    /// Starts a worker per sink and warms the sinks up; what is owed is forgotten at the end. Needs a tokio runtime.
    pub fn start(sinks: Vec<Box<dyn Sink>>, options: &Options) -> Self {
        let lanes = sinks
            .into_iter()
            .map(|sink| Lane::new(sink.into(), options.clone(), None, Arc::new(())));
        Self::run(lanes.collect())
    }

    /// Starts a worker per sink, which goes on with what an earlier pipeline left in the directory `outbox`. Needs a
    /// tokio runtime.
    ///
    /// # Errors
    /// When the directory cannot be made or read.
    pub fn resume(
        sinks: Vec<Box<dyn Sink>>,
        options: &Options,
        outbox: &Path,
        observer: &Arc<dyn Observer>,
    ) -> io::Result<Self> {
        let lanes = sinks.into_iter().map(|sink| {
            let left = Outbox::open(outbox.join(sink.name()), wall_now().0)?;
            Ok(Lane::new(sink.into(), options.clone(), Some(left), Arc::clone(observer)))
        });
        Ok(Self::run(lanes.collect::<io::Result<_>>()?))
    }

    fn run(lanes: Vec<Lane>) -> Self {
        let lanes = lanes.into_iter().map(|lane| {
            let lane = Arc::new(lane);
            let worker = tokio::spawn(Arc::clone(&lane).run());
            (lane, AbortOnDropHandle::new(worker))
        });
        let pipeline = Self { lanes: lanes.collect() };
        pipeline.warm_up();
        pipeline
    }

    /// Hands over an incident's present state, which replaces an older one that still waits. Never blocks. News is what
    /// has a higher revision; without one, only sinks that refresh what they told are called. A suspicion goes to those alone
    /// that want it.
    pub fn submit(&self, incident: &Incident) {
        let incident = Arc::new(incident.clone());
        for (lane, _) in &self.lanes {
            lane.submit(Arc::clone(&incident));
        }
    }

    /// Waits until all that was handed over is on the disk, but no longer than a disk may take that works. What is handed
    /// over later than a few milliseconds before a kill is lost with the process that decided it.
    pub async fn settled(&self) {
        for (lane, _) in &self.lanes {
            lane.settled().await;
        }
    }

    /// The newest state of every incident that any sink was, or is to be, told of; oldest first.
    pub fn incidents(&self) -> Vec<Incident> {
        let mut newest: BTreeMap<String, Incident> = BTreeMap::new();
        for incident in self.lanes.iter().flat_map(|(lane, _)| lane.incidents()) {
            let order = |incident: &Incident| (incident.revision, incident.updated.0.to_bits());
            let known = newest.get(&incident.id).map(order);
            if known.is_none_or(|known| known < order(&incident)) {
                newest.insert(incident.id.clone(), incident);
            }
        }
        let mut incidents: Vec<Incident> = newest.into_values().collect();
        incidents.sort_by(|a, b| a.opened.0.total_cmp(&b.opened.0));
        incidents
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
            left += lane.close().await;
        }
        left
    }

    /// What became of the deliveries, per sink.
    pub fn stats(&self) -> Vec<SinkStats> {
        self.lanes.iter().map(|(lane, _)| lane.stats()).collect()
    }
}

/// Now, for people and for what outlives this process.
fn wall_now() -> WallTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    // A clock before 1970 reads as 1970.
    WallTime(since.map_or(0.0, |since| since.as_secs_f64()))
}
