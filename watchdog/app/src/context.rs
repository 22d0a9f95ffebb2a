//! What all parts of one running watchdog share: the targets' state for the web, the recent incidents, the way to people.

mod health;

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::{Semaphore, mpsc, oneshot};
use watchdog_collect::process::SelfReader;
use watchdog_core::detector::DetectorConfig;
use watchdog_core::history::Row;
use watchdog_core::incident::{Change, Incident};
use watchdog_core::profile::Profile;
use watchdog_core::units::{Moment, WallTime};
use watchdog_heap::store::DumpStore;
use watchdog_heap::symbolize::{SymbolCache, Symbolizer};
use watchdog_heap::symbols::Symbols;
use watchdog_report::pipeline::Pipeline;
use watchdog_web::dumps::{CaptureError, Dump};
use watchdog_web::status::{
    Build, Meters, Own, RulesStatus, Selection, Source, Status, TargetStatus,
};

use crate::clock::{Clock, Stamp};
use crate::otlp::Otlp;
use crate::recorders::Recorders;
use crate::state::Restored;
use crate::workload::{Process, Workload};

/// The proc file system.
pub const PROC: &str = "/proc";
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
    /// The flight recorders.
    pub recorders: Arc<Recorders>,
    /// Where names of functions come from.
    pub names: NameSources,
    /// One profile at a time is read and rendered: each takes megabytes.
    pub rendering: Semaphore,
    /// The way to people.
    pub pipeline: Pipeline,
    /// The watchdog's own traces.
    pub otlp: Otlp,
    clock: Clock,
    started: WallTime,
    targets: Mutex<BTreeMap<String, Arc<Slot>>>,
    /// Places of an earlier watchdog that no process was found for yet. Locked after `targets`.
    restored: Mutex<BTreeMap<String, Arc<Slot>>>,
    /// What became of the rules in each store.
    pub rules: Mutex<Vec<RulesStatus>>,
    incidents: Mutex<VecDeque<Incident>>,
    /// Incidents that an earlier watchdog left open and whose process was not found yet.
    left_open: Mutex<Vec<Incident>>,
    own: Mutex<Option<SelfReader>>,
    /// What the watchdog measures of its own work.
    meters: Mutex<Meters>,
    /// How many processes each configured target means, by its place in the configuration.
    selections: Mutex<BTreeMap<usize, Selection>>,
}

/// A target's place: its counters live on when its process is replaced by the next.
pub struct Slot {
    /// What the web shows.
    pub status: Mutex<TargetStatus>,
    /// The detector, over all the processes that had this place.
    pub workload: Mutex<Workload>,
    /// The way to ask the watcher for a heap profile, while there is one.
    pub requests: Mutex<Option<mpsc::Sender<CaptureRequest>>>,
    /// The files of the process that has this place, for the names in its dumps.
    pub symbolizer: Mutex<Option<Arc<Symbolizer>>>,
}

/// Somebody asks for a heap profile.
pub enum CaptureRequest {
    /// To be stored.
    Store(oneshot::Sender<Result<Dump, CaptureError>>),
    /// To be looked at.
    Show(oneshot::Sender<Result<Shown, CaptureError>>),
}

/// A profile of now, and where its names come from.
pub struct Shown {
    /// The profile.
    pub profile: Arc<Profile>,
    /// Names that came with it.
    pub symbols: Arc<Symbols>,
    /// The process's own files.
    pub symbolizer: Option<Arc<Symbolizer>>,
}

impl CaptureRequest {
    /// Answers that there will be none. Whoever asked may have gone away.
    pub fn refuse(self, error: CaptureError) {
        match self {
            Self::Store(answer) => drop(answer.send(Err(error))),
            Self::Show(answer) => drop(answer.send(Err(error))),
        }
    }
}

/// What heap profiling needs beside the store.
#[derive(Default)]
pub struct Profiling {
    /// The flight recorders.
    pub recorders: Recorders,
    /// Where names of functions come from.
    pub names: NameSources,
}

/// Where names of functions come from beside the process itself.
#[derive(Clone, Default)]
pub struct NameSources {
    /// Names that were found before, by build id.
    pub cache: Option<Arc<SymbolCache>>,
    /// Directories of debug files by build id.
    pub debug_dirs: Vec<PathBuf>,
}

/// Locks; a panic of another holder leaves plain data that is still good.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Slot {
    fn new(workload: Workload) -> Arc<Self> {
        Arc::new(Self {
            status: Mutex::default(),
            workload: Mutex::new(workload),
            requests: Mutex::default(),
            symbolizer: Mutex::default(),
        })
    }

    fn is_up(&self) -> bool {
        lock(&self.status).up
    }
}

impl Context {
    /// A context with no target yet, which goes on with what an earlier one left behind.
    pub fn new(
        detector: DetectorConfig,
        store: DumpStore,
        profiling: Profiling,
        (pipeline, otlp): (Pipeline, Otlp),
        restored: Restored,
    ) -> Self {
        let places =
            restored.workloads.into_iter().map(|(name, workload)| (name, Slot::new(workload)));
        let mut incidents = pipeline.incidents();
        let open = |incident: &&Incident| !incident.state.is_closed();
        let left_open = incidents.iter().filter(open).cloned().collect();
        incidents.reverse();
        incidents.truncate(MAX_INCIDENTS);
        Self {
            detector,
            own: Mutex::new(SelfReader::attach(Path::new(PROC)).ok()),
            proc_root: PathBuf::from(PROC),
            store: Arc::new(store),
            recorders: Arc::new(profiling.recorders),
            names: profiling.names,
            rendering: Semaphore::new(1),
            pipeline,
            otlp,
            clock: restored.clock,
            started: wall_now(),
            targets: Mutex::default(),
            restored: Mutex::new(places.collect()),
            rules: Mutex::default(),
            incidents: Mutex::new(incidents.into()),
            left_open: Mutex::new(left_open),
            meters: Mutex::default(),
            selections: Mutex::default(),
        }
    }

    /// Now, on the clock that never goes back and on the wall.
    pub fn now(&self) -> (Moment, WallTime) {
        (self.clock.now(), wall_now())
    }

    /// What the clock shows now, to go on from later.
    pub fn stamp(&self) -> Stamp {
        self.clock.stamp(wall_now())
    }

    /// A free place for a process of a target called `base`: the one it had before, else the first of `base`, `base-2`,
    /// `base-3` … Of several processes of one name each keeps its own past, also when an older one has ended meanwhile.
    pub fn claim(&self, base: &str, process: Process) -> (String, Arc<Slot>) {
        let mut targets = lock(&self.targets);
        let mut restored = lock(&self.restored);
        let names = || (1_u32..).map(|n| if n == 1 { base.into() } else { format!("{base}-{n}") });
        let is_free = |name: &String| targets.get(name).is_none_or(|slot| !slot.is_up());
        let had = targets
            .iter()
            .chain(restored.iter())
            .filter(|(name, slot)| is_place_of(name, base) && !slot.is_up())
            .find(|(_, slot)| lock(&slot.workload).was(&process));
        let name = had.map(|(name, _)| name.clone()).or_else(|| names().find(is_free));
        let name = name.unwrap_or_else(|| base.to_owned());
        let slot = targets.entry(name.clone()).or_insert_with(|| {
            let cold = || Slot::new(Workload::new(self.detector, wall_now()));
            restored.remove(&name).unwrap_or_else(cold)
        });
        lock(&slot.workload).take_over(process);
        lock(&slot.status).up = true;
        (name, Arc::clone(slot))
    }

    /// Every place, also those that no process was found for yet.
    pub fn slots(&self) -> Vec<(String, Arc<Slot>)> {
        let targets = lock(&self.targets);
        let restored = lock(&self.restored);
        let all = targets.iter().chain(restored.iter());
        all.map(|(name, slot)| (name.clone(), Arc::clone(slot))).collect()
    }

    /// Samples taken so far.
    pub fn samples(&self) -> u64 {
        lock(&self.targets).values().map(|slot| lock(&slot.status).reads.proc.ok).sum()
    }

    /// The incident that an earlier watchdog left open of this process, once.
    pub fn take_left_open(&self, pid: u32, start_ticks: u64) -> Option<Incident> {
        let mut left = lock(&self.left_open);
        let of = |one: &Incident| (one.target.pid, one.target.start_ticks) == (pid, start_ticks);
        let found = left.iter().position(of)?;
        Some(left.swap_remove(found))
    }

    /// Ends those incidents of an earlier watchdog whose process was not found: it ended while nobody looked.
    pub fn abandon_left_open(&self) {
        for incident in std::mem::take(&mut *lock(&self.left_open)) {
            self.changed(&incident.abandon(wall_now()));
        }
    }

    /// Notes a change of an incident and tells whoever wants to know of it.
    pub fn changed(&self, change: &Change) {
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
        self.otlp.changed(incident);
        self.pipeline.submit(incident);
        if !change.tell && !incident.state.is_closed() {
            // A report may follow within a second: its connection is opened while there is time.
            self.pipeline.warm_up();
        }
    }

    /// Has the moved figures of an incident told where they are told in place.
    pub fn refresh(&self, incident: &Incident) {
        if incident.told.is_some() {
            self.pipeline.submit(incident);
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

/// Whether `name` is `base` or `base-2`, `base-3` …
fn is_place_of(name: &str, base: &str) -> bool {
    let is_number = |rest: &str| rest.bytes().all(|byte| byte.is_ascii_digit());
    name.strip_prefix(base)
        .is_some_and(|rest| rest.is_empty() || rest.strip_prefix('-').is_some_and(is_number))
}

/// The time on the wall, for people.
pub fn wall_now() -> WallTime {
    // A clock before 1970 reads as 1970; nothing is computed from it.
    WallTime(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64()))
}

impl Source for Context {
    fn status(&self) -> Status {
        let targets = lock(&self.targets).values().map(|slot| lock(&slot.status).clone()).collect();
        let own = lock(&self.own).as_mut().and_then(|own| own.read().ok());
        Status {
            build: Build { version: env!("CARGO_PKG_VERSION").into(), commit: String::new() },
            started: self.started,
            discovering: true,
            targets,
            incidents: self.incidents(),
            deliveries: self.deliveries(),
            rules: lock(&self.rules).clone(),
            kept: self.kept(),
            own: own.map_or_else(Own::default, |own| Own {
                rss: own.rss,
                cpu_seconds: own.cpu_seconds,
                virtual_memory: own.virtual_memory,
                threads: own.threads,
                open_fds: own.open_fds,
                max_fds: own.max_fds,
            }),
            selections: self.selections(),
            meters: lock(&self.meters).clone(),
        }
    }

    fn series(&self, target: &str) -> Option<Vec<Row>> {
        let slot = self.slot(target)?;
        Some(lock(&slot.workload).detector().history().rows())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use watchdog_core::units::Bytes;
    use watchdog_heap::store::StoreBounds;
    use watchdog_report::pipeline::Options;

    use super::*;

    fn process(pid: u32) -> Process {
        Process { pid, start_ticks: u64::from(pid), exe: None }
    }

    fn context(workloads: Vec<(String, Workload)>) -> (Context, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let bounds = StoreBounds { total_bytes: Bytes(1), ..StoreBounds::default() };
        let store = DumpStore::open(dir.path().into(), bounds).unwrap();
        let pipeline = Pipeline::start(Vec::new(), &Options::default());
        let restored = Restored { workloads, ..Restored::cold(Path::new(PROC)) };
        (
            Context::new(
                DetectorConfig::default(),
                store,
                Profiling::default(),
                (pipeline, Otlp::off()),
                restored,
            ),
            dir,
        )
    }

    fn workload_of(pid: u32) -> Workload {
        let mut workload = Workload::new(DetectorConfig::default(), WallTime(0.0));
        workload.take_over(process(pid));
        workload
    }

    #[tokio::test]
    async fn each_process_gets_the_place_it_had_and_a_new_one_the_first_that_is_free() {
        let names = ["app", "app-2", "app-3", "app-2b"];
        let places = names.iter().zip([10, 20, 30, 40]);
        let (context, _dir) =
            context(places.map(|(name, pid)| ((*name).to_owned(), workload_of(pid))).collect());
        // The oldest process has ended while nobody watched.
        for (pid, place) in [(20, "app-2"), (30, "app-3"), (50, "app"), (60, "app-4")] {
            assert_eq!(context.claim("app", process(pid)).0, place, "process {pid}");
        }
        assert_eq!(context.claim("app-2b", process(40)).0, "app-2b");
        assert!(lock(&context.restored).is_empty());
    }

    #[tokio::test]
    async fn the_place_of_a_process_that_has_ended_goes_to_the_next() {
        let (context, _dir) = context(Vec::new());
        let (_, first) = context.claim("app", process(10));
        let (_, second) = context.claim("app", process(20));
        lock(&first.workload).ended(false);
        lock(&first.status).up = false;
        lock(&second.status).up = false;
        // The second one's watcher failed, and it is found again.
        assert_eq!(context.claim("app", process(20)).0, "app-2");
        assert_eq!(context.claim("app", process(30)).0, "app");
        assert_eq!(context.slots().len(), 2);
    }

    #[tokio::test]
    async fn what_is_not_found_again_is_kept_and_not_shown() {
        let (context, _dir) = context(vec![("app".into(), workload_of(10))]);
        assert!(context.status().targets.is_empty());
        assert!(context.series("app").is_none());
        assert_eq!(context.slots().len(), 1);
    }
}
