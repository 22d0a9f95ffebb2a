//! Watches one process from attachment to its end: samples, concludes, captures, names, tells.
//!
//! Sampling never waits: asking the allocator, reading the request counter, taking a heap profile, naming a function and
//! storing a dump are jobs beside it, and their results come in between two samples.

mod end;
mod heap;
mod jobs;
mod load;
mod pace;
mod program;
mod ramp;
mod source;
mod steps;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use url::Url;
use watchdog_collect::CollectError;
use watchdog_collect::allocator::AllocatorClient;
use watchdog_collect::collector::Collector;
use watchdog_collect::requests::RequestsClient;
use watchdog_core::detector::{Assessment, Level};
use watchdog_core::incident::{IncidentTracker, TargetIdentity};
use watchdog_core::sample::{Allocator, Sample};
use watchdog_core::units::{Bytes, Moment, WallTime};
use watchdog_heap::capture::{DumpFiles, HeapClient, SourceKind};
use watchdog_heap::symbolize::Symbolizer;

use crate::config::TargetConfig;
use crate::context::{CaptureRequest, Context, Slot, lock};
use heap::Heap;
use jobs::Done;
use load::Load;
use pace::Look;
use program::Program;
use source::Source;

/// Seconds between two readings of the allocator: seldom while calm, as each is a request to the service.
const ALLOCATOR_CALM: f64 = 5.0;
const ALLOCATOR_DANGER: f64 = 0.5;
/// Bytes of a heap profile at most: 12,000 stacks of 42 frames, where a heap of 2 GiB has 4,000 samples. The watchdog
/// holds it whole while it reads it, and has a limit too.
const MAX_PROFILE: usize = 8 << 20;
/// The open incident on the page is brought up to date this often.
const NOTE_SECONDS: f64 = 1.0;

/// Seconds between two refreshments of a told incident: an alert that nobody refreshes within five minutes is taken for
/// resolved, and a forecast of the last minutes is worth being brought up to date more often.
const REFRESH: (f64, f64) = (10.0, 60.0);

fn refresh_gap(seen: &Assessment) -> f64 {
    let (least, most) = REFRESH;
    seen.forecast.map_or(most, |forecast| (forecast.estimate / 10.0).clamp(least, most))
}

/// Everything one watcher needs.
pub struct Watcher {
    context: Arc<Context>,
    slot: Arc<Slot>,
    name: String,
    collector: Collector,
    allocator: Option<Arc<AllocatorClient>>,
    heap: Heap,
    tracker: IncidentTracker,
    jobs: JoinSet<Done>,
    asking: bool,
    /// The process was asked through its flight recorder and has not answered yet.
    unanswered: bool,
    fresh_allocator: Option<Allocator>,
    asked: Option<Moment>,
    load: Load,
    program: Program,
    noted: Moment,
    refreshed: Moment,
    last: Option<(Sample, Assessment)>,
    profiling: bool,
}

/// The symbols of the program that the process runs now; without them everything else goes on.
fn symbols_of(context: &Context, name: &str, collector: &Collector) -> Option<Arc<Symbolizer>> {
    let attached = Symbolizer::attach(&context.proc_root, collector.pid())
        .inspect_err(|error| tracing::warn!(target_name = %name, %error, "no symbols: functions will not be named"))
        .ok()?;
    let names = &context.names;
    let cached = match &names.cache {
        Some(cache) => attached.with_cache(Arc::clone(cache)),
        None => attached,
    };
    Some(Arc::new(cached.with_debug_dirs(names.debug_dirs.clone())))
}

/// The probe's two clients, where a target has one.
pub struct Probe {
    /// For `/debug/allocator`.
    pub allocator: AllocatorClient,
    /// For `/debug/pprof/heap`.
    pub heap: HeapClient,
}

impl Probe {
    /// Clients for the probe at `url`.
    ///
    /// # Errors
    /// When no HTTP client can be made for that address.
    pub fn new(url: &Url) -> anyhow::Result<Self> {
        Ok(Self {
            allocator: AllocatorClient::new(url.clone())?,
            heap: HeapClient::new(url.clone())?.with_max_body(MAX_PROFILE),
        })
    }
}

/// Whom a watcher asks about its process.
#[derive(Default)]
pub struct Clients {
    /// The probe, where the target has one.
    pub probe: Option<Probe>,
    /// Where the program serves heap profiles itself.
    pub pprof: Option<HeapClient>,
    /// What it writes heap profiles to.
    pub files: Option<DumpFiles>,
    /// The request counter, where one is named.
    pub requests: Option<RequestsClient>,
}

impl Clients {
    /// Those that a target names; one that cannot be made is said and left out.
    pub fn of(target: &TargetConfig) -> Self {
        let probe = target.probe.as_ref().and_then(|url| {
            Probe::new(url)
                .inspect_err(|error| tracing::error!(%error, "the probe cannot be asked"))
                .ok()
        });
        let pprof = target.pprof.clone().and_then(|url| {
            HeapClient::new(url)
                .inspect_err(|error| tracing::error!(%error, "no heap profiles over HTTP"))
                .map(|client| client.with_max_body(MAX_PROFILE))
                .ok()
        });
        let files = target.dump_files.clone().and_then(|prefix| {
            DumpFiles::new(prefix)
                .inspect_err(|error| tracing::error!(%error, "no heap profiles from files"))
                .map(|files| files.with_max_bytes(MAX_PROFILE))
                .ok()
        });
        let requests = target.requests.clone().and_then(|requests| {
            RequestsClient::new(requests.url, requests.counter)
                .inspect_err(|error| tracing::error!(%error, "the request counter cannot be read"))
                .ok()
        });
        Self { probe, pprof, files, requests }
    }
}

impl Clients {
    /// Where the profiles of a process that started then come from while there is no flight recorder.
    fn source(&mut self, proc_root: &Path, pid: u32, started: WallTime) -> Option<Source> {
        if let Some(pprof) = self.pprof.take() {
            return Some(Source::Http(Arc::new(pprof), SourceKind::Go));
        }
        if let Some(files) = self.files.take() {
            // Of an earlier process that had the same id in its container, they are another's.
            let files = Arc::new(files.since(started));
            return Some(Source::Files(files, source::own_pid(proc_root, pid), None));
        }
        let heap = self.probe.as_ref().map(|probe| Arc::new(probe.heap.clone()));
        heap.map(|heap| Source::Http(heap, SourceKind::Probe))
    }
}

impl Watcher {
    /// Takes over a slot for the process that `collector` has opened.
    pub fn new(
        context: Arc<Context>,
        slot: Arc<Slot>,
        identity: TargetIdentity,
        mut collector: Collector,
        mut clients: Clients,
    ) -> Self {
        let name = identity.name.clone();
        let symbolizer = symbols_of(&context, &name, &collector);
        lock(&slot.symbolizer).clone_from(&symbolizer);
        let mut tracker = IncidentTracker::new(identity.clone());
        if let Some(left) = context.take_left_open(identity.pid, identity.start_ticks)
            && tracker.resume(&left)
        {
            tracing::info!(target_name = %name, incident = %left.id, "an open incident goes on");
        }
        // A process that has ended already has written nothing since.
        let age = collector.age().unwrap_or(0.0);
        let started = context.now().1.plus(-age);
        let other = clients.source(&context.proc_root, collector.pid(), started);
        {
            let mut status = lock(&slot.status);
            (status.identity, status.recorder) = (identity, false);
            // What was known of the process before says nothing of this one.
            (status.probe, status.counter, status.recorder_fill) = (None, None, None);
        }
        Self {
            slot,
            name,
            collector,
            allocator: clients.probe.map(|probe| Arc::new(probe.allocator)),
            heap: Heap::new(other, symbolizer),
            tracker,
            jobs: JoinSet::new(),
            asking: false,
            unanswered: false,
            fresh_allocator: None,
            asked: None,
            load: Load::new(clients.requests),
            program: Program::default(),
            noted: Moment::default(),
            refreshed: Moment::default(),
            last: None,
            profiling: true,
            context,
        }
    }

    /// Watches until the process ends or `stop` is cancelled.
    pub async fn run(mut self, stop: CancellationToken) {
        let (sender, mut requests) = mpsc::channel::<CaptureRequest>(1);
        *lock(&self.slot.requests) = Some(sender);
        tracing::info!(target_name = %self.name, pid = self.collector.pid(), "watching");
        let vanished = loop {
            let looked = Look::begins();
            let pause = match self.tick() {
                Ok(pause) => pause,
                Err(error) if error.is_vanished() => break true,
                Err(error) => self.unreadable(&error),
            };
            let wake = tokio::time::sleep(pause);
            tokio::pin!(wake);
            let stopped = loop {
                tokio::select! {
                    () = &mut wake => break false,
                    () = stop.cancelled() => break true,
                    Some(done) = self.jobs.join_next() => self.done(done),
                    () = self.load.due() => self.ask_requests(),
                    Some(request) = requests.recv() => self.requested(request),
                }
            };
            if stopped {
                break false;
            }
            lock(&self.slot.status).delays.add(looked.delay_of_next(pause));
        };
        *lock(&self.slot.requests) = None;
        if vanished {
            self.ended().await;
        }
        lock(&self.slot.status).up = false;
    }

    /// One look: a sample, what it means, what to do about it. Returns how long to sleep.
    fn tick(&mut self) -> Result<Duration, CollectError> {
        let (at, wall) = self.context.now();
        let failures = self.collector.cgroup_failures();
        let began = Instant::now();
        let mut sample = self.collector.sample(at, wall)?;
        self.sampled(began.elapsed());
        sample.allocator = self.fresh_allocator.take();
        sample.load = self.load.at(at);
        self.look_at_program(at);
        sample.age = self.program.age(at, sample.age);
        let seen = lock(&self.slot.workload).observe(&sample);
        self.publish(&sample, &seen, self.collector.cgroup_failures() > failures);
        if let Some(change) = self.tracker.observe(&seen, wall) {
            self.changed(&change);
            self.refreshed = at;
        } else if let Some(open) = self.tracker.open() {
            if at.since(self.noted) >= NOTE_SECONDS {
                self.context.note(open);
                self.noted = at;
            }
            if at.since(self.refreshed) >= refresh_gap(&seen) {
                self.context.refresh(open);
                self.refreshed = at;
            }
        }
        self.ask_allocator(at, seen.level);
        self.look_at_heap(&sample, &seen);
        let pause = Duration::from_secs_f64(seen.next_sample_in);
        self.last = Some((sample, seen));
        Ok(pause)
    }

    fn publish(&mut self, sample: &Sample, seen: &Assessment, cgroup_failed: bool) {
        let mut status = lock(&self.slot.status);
        status.up = true;
        status.reads.proc.ok += 1;
        // A target whose cgroup cannot be found at all has no such reads.
        status.reads.cgroup.ok += u64::from(sample.cgroup.is_some());
        status.reads.cgroup.error += u64::from(cgroup_failed);
        status.limit_source =
            self.collector.limit_source().map(|source| source.as_str().to_owned());
        status.sample_interval = seen.next_sample_in;
        // The last known allocator reading stays visible between two readings.
        let allocator = sample.allocator.or(status.sample.and_then(|last| last.allocator));
        status.sample = Some(Sample { allocator, ..*sample });
        status.assessment = Some(seen.clone());
    }

    /// A read that failed is a gap: counted, said, and tried again.
    fn unreadable(&self, error: &CollectError) -> Duration {
        tracing::warn!(target_name = %self.name, %error, "the process cannot be read; the series has a gap");
        lock(&self.slot.status).reads.proc.error += 1;
        Duration::from_secs(1)
    }

    fn changed(&mut self, change: &watchdog_core::incident::Change) {
        if change.incident.state.is_closed() {
            self.heap.ramp.settle();
        }
        lock(&self.slot.status).incidents.add(change.incident.state);
        self.context.changed(change);
    }

    /// Asks for the allocator's statistics: through the flight recorder, else over HTTP.
    fn ask_allocator(&mut self, at: Moment, level: Level) {
        if let Some(table) = self.heap.table.clone()
            && let Some(answer) = table.answer().transpose()
        {
            self.allocator_read(answer);
        }
        let gap = if level > Level::Calm { ALLOCATOR_DANGER } else { ALLOCATOR_CALM };
        if self.asking || self.asked.is_some_and(|asked| at.since(asked) < gap) {
            return;
        }
        if let Some(table) = &self.heap.table {
            self.asked = Some(at);
            if std::mem::replace(&mut self.unanswered, true) {
                lock(&self.slot.status).probe = Some(false);
            }
            if let Err(error) = table.ask() {
                self.allocator_read(Err(error));
            }
        } else if let Some(client) = &self.allocator {
            (self.asking, self.asked) = (true, Some(at));
            self.jobs.spawn(jobs::allocator(Arc::clone(client)));
        }
    }

    /// A job is done; a panic in one is logged and loses only that job.
    fn done(&mut self, done: Result<Done, tokio::task::JoinError>) {
        match done {
            Ok(Done::Allocator(took, result)) => {
                self.context.meter(|meters| meters.reads.allocator.add(took));
                self.allocator_read(result);
            }
            Ok(Done::Requests(at, took, result)) => self.requests_read(at, took, result),
            Ok(Done::Taken(taking)) => self.taken(*taking),
            Ok(Done::Stored(id)) => self.stored(id),
            Ok(Done::Named(result)) => self.named(result),
            Err(error) => {
                tracing::error!(target_name = %self.name, %error, "a job failed");
                (self.heap.taking, self.heap.naming, self.asking) = (false, false, false);
                self.load.lost();
            }
        }
    }

    fn allocator_read(&mut self, result: Result<Allocator, String>) {
        (self.asking, self.unanswered) = (false, false);
        let mut status = lock(&self.slot.status);
        status.probe = Some(result.is_ok());
        match result {
            Ok(allocator) => {
                status.reads.allocator.ok += 1;
                if self.profiling && !allocator.profiling && self.heap.source().is_some() {
                    tracing::warn!(target_name = %self.name, "heap profiling is off in the service; functions cannot be named");
                }
                self.profiling = allocator.profiling;
                self.fresh_allocator = Some(allocator);
            }
            Err(error) => {
                status.reads.allocator.error += 1;
                tracing::warn!(target_name = %self.name, error, "the allocator's statistics cannot be read");
            }
        }
    }

    /// What was in use when last seen, and the limit then.
    fn last_use(&self) -> (Bytes, Option<Bytes>) {
        self.last.as_ref().map_or((Bytes(0), None), |(_, seen)| (seen.used, seen.limit))
    }
}
