//! What all parts of one running watchdog share: the targets' state for the web, the recent incidents, the way to people.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot};
use watchdog_collect::process::SelfReader;
use watchdog_core::detector::{Detector, DetectorConfig};
use watchdog_core::history::Row;
use watchdog_core::incident::{Change, Incident};
use watchdog_core::units::{Moment, WallTime};
use watchdog_heap::store::DumpStore;
use watchdog_report::pipeline::Pipeline;
use watchdog_web::dumps::{CaptureError, CaptureFuture, Dump, Dumps};
use watchdog_web::status::{Build, Own, SinkStatus, Source, Status, TargetStatus};

/// Incidents kept for the page and the API.
const MAX_INCIDENTS: usize = 200;

/// One watchdog's shared state.
pub struct Context {
    /// The detector's settings.
    pub detector: DetectorConfig,
    /// Root of the proc file system.
    pub proc_root: PathBuf,
    /// Where heap dumps are kept.
    pub store: Arc<DumpStore>,
    /// The way to people.
    pub pipeline: Pipeline,
    started: (Instant, WallTime),
    targets: Mutex<BTreeMap<String, Arc<Slot>>>,
    incidents: Mutex<VecDeque<Incident>>,
    own: Mutex<Option<SelfReader>>,
}

/// A target's place: its counters live on when its process is replaced by the next.
pub struct Slot {
    /// What the web shows.
    pub status: Mutex<TargetStatus>,
    /// The detector of the present process.
    pub detector: Mutex<Detector>,
    /// The way to ask the watcher for a heap profile, while there is one.
    pub requests: Mutex<Option<mpsc::Sender<CaptureRequest>>>,
}

/// Somebody asks for a heap profile.
pub type CaptureRequest = oneshot::Sender<Result<Dump, CaptureError>>;

/// Locks; a panic of another holder leaves plain data that is still good.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Context {
    /// A context with no target yet.
    pub fn new(detector: DetectorConfig, store: DumpStore, pipeline: Pipeline) -> Self {
        Self {
            detector,
            own: Mutex::new(SelfReader::attach(Path::new("/proc")).ok()),
            proc_root: PathBuf::from("/proc"),
            store: Arc::new(store),
            pipeline,
            started: (Instant::now(), wall_now()),
            targets: Mutex::default(),
            incidents: Mutex::default(),
        }
    }

    /// Now, on the clock that never goes back and on the wall.
    pub fn now(&self) -> (Moment, WallTime) {
        (Moment(self.started.0.elapsed().as_secs_f64()), wall_now())
    }

    /// A free place for a target called `base`: `base`, else `base-2`, `base-3` …
    pub fn claim(&self, base: &str) -> (String, Arc<Slot>) {
        let mut targets = lock(&self.targets);
        let mut name = base.to_owned();
        let mut number = 1;
        while targets.get(&name).is_some_and(|slot| lock(&slot.status).up) {
            number += 1;
            name = format!("{base}-{number}");
        }
        let slot = targets.entry(name.clone()).or_insert_with(|| {
            Arc::new(Slot {
                status: Mutex::default(),
                detector: Mutex::new(Detector::new(self.detector)),
                requests: Mutex::default(),
            })
        });
        lock(&slot.status).up = true;
        (name, Arc::clone(slot))
    }

    /// Notes a change of an incident and tells people if they are to be told.
    pub fn changed(&self, change: Change) {
        let incident = &change.incident;
        tracing::info!(
            target_name = %incident.target.name,
            incident = %incident.id,
            state = incident.state.as_str(),
            used = %incident.used,
            told = change.tell,
            "incident changed"
        );
        self.note(incident);
        if change.tell {
            self.pipeline.submit(change.incident);
        } else if !incident.state.is_closed() {
            // A report may follow within a second: its connection is opened while there is time.
            self.pipeline.warm_up();
        }
    }

    /// Keeps the present state of an incident for the page and the API.
    pub fn note(&self, incident: &Incident) {
        let mut incidents = lock(&self.incidents);
        match incidents.iter_mut().find(|known| known.id == incident.id) {
            Some(known) => known.clone_from(incident),
            None => {
                incidents.push_front(incident.clone());
                incidents.truncate(MAX_INCIDENTS);
            }
        }
    }

    /// All recent incidents, newest first.
    pub fn incidents(&self) -> Vec<Incident> {
        lock(&self.incidents).iter().cloned().collect()
    }

    /// The place of a target.
    pub fn slot(&self, target: &str) -> Option<Arc<Slot>> {
        lock(&self.targets).get(target).cloned()
    }
}

fn wall_now() -> WallTime {
    // A clock before 1970 reads as 1970; nothing is computed from it.
    WallTime(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64()))
}

impl Source for Context {
    fn status(&self) -> Status {
        let targets = lock(&self.targets).values().map(|slot| lock(&slot.status).clone()).collect();
        let own = lock(&self.own).as_mut().and_then(|own| own.read().ok());
        Status {
            build: Build { version: env!("CARGO_PKG_VERSION").into(), commit: String::new() },
            started: self.started.1,
            discovering: true,
            targets,
            incidents: self.incidents(),
            deliveries: self.deliveries(),
            own: own.map_or_else(Own::default, |own| Own {
                rss: own.rss,
                cpu_seconds: own.cpu_seconds,
            }),
        }
    }

    fn series(&self, target: &str) -> Option<Vec<Row>> {
        let slot = self.slot(target)?;
        Some(lock(&slot.detector).history().rows())
    }
}

impl Context {
    fn deliveries(&self) -> Vec<SinkStatus> {
        self.pipeline
            .stats()
            .into_iter()
            .map(|sink| SinkStatus {
                name: sink.sink.to_owned(),
                delivered: sink.delivered,
                retried: sink.retried,
                failed: sink.failed,
                dropped: sink.dropped,
                queue_length: sink.queued.try_into().unwrap_or(u64::MAX),
            })
            .collect()
    }
}

impl Dumps for Context {
    fn list(&self, target: Option<&str>) -> Vec<Dump> {
        let mut dumps: Vec<_> = self.store.list(target).iter().map(to_wire).collect();
        dumps.reverse();
        dumps
    }

    fn path(&self, id: &str) -> Option<(Dump, PathBuf)> {
        let path = self.store.path(id)?;
        let meta = self.store.list(None).into_iter().find(|meta| meta.id == id)?;
        Some((to_wire(&meta), path))
    }

    fn capture(&self, target: String) -> CaptureFuture<'_> {
        Box::pin(async move {
            let slot =
                self.slot(&target).ok_or_else(|| CaptureError::UnknownTarget(target.clone()))?;
            let gone = || CaptureError::Unavailable("the process is gone".into());
            let requests = lock(&slot.requests).clone().ok_or_else(gone)?;
            let (sender, answer) = oneshot::channel();
            requests.try_send(sender).map_err(|_| CaptureError::Busy)?;
            answer.await.unwrap_or_else(|_| Err(gone()))
        })
    }
}

/// A stored dump as the web shows it.
pub fn to_wire(meta: &watchdog_heap::store::DumpMeta) -> Dump {
    Dump {
        id: meta.id.clone(),
        target: meta.target.clone(),
        pid: meta.pid,
        taken: meta.taken,
        size: meta.bytes,
        incident: None,
    }
}
