//! The heap of one process: profiles are taken when the policy says so, stored, and compared until the function is named.

use std::sync::Arc;
use std::time::Duration;

use watchdog_core::detector::{Assessment, Level};
use watchdog_core::incident::{Change, Incident, TargetIdentity};
use watchdog_core::profile::{Mapping, Profile};
use watchdog_core::sample::Sample;
use watchdog_core::units::{Bytes, Moment, WallTime};
use watchdog_core::verdict::Kind;
use watchdog_heap::capture::SourceKind;
use watchdog_heap::store::{Module, NewDump};
use watchdog_heap::symbolize::Symbolizer;
use watchdog_heap::symbols::Symbols;
use watchdog_web::dumps::CaptureError;

use super::ramp::Ramp;
use super::source::{Source, Taken};
use super::steps::Began;
use super::{Watcher, jobs};
use crate::context::{CaptureRequest, Shown, lock};
use crate::policy::{CapturePolicy, Decision, Reason};
use crate::recorders::Table;

/// Seconds between two looks at a source that costs the process nothing, while it is calm, and once the function is
/// known: its figures stay fresh.
const LOOK_CALM: f64 = 30.0;
const LOOK_NAMED: f64 = 5.0;
/// The shortest pause: a look and the names after it take milliseconds.
const LOOK_DANGER: f64 = 0.1;

/// What is known of the heap of one process.
#[derive(Default)]
pub(super) struct Heap {
    /// The flight recorder, once the process has claimed one.
    pub(super) table: Option<Arc<Table>>,
    /// What else can be asked for a profile.
    pub(super) other: Option<Source>,
    pub(super) symbolizer: Option<Arc<Symbolizer>>,
    pub(super) ramp: Ramp,
    /// The process's mappings when it was last looked at.
    pub(super) mappings: Arc<Vec<Mapping>>,
    /// Names that came with the last profile.
    pub(super) symbols: Arc<Symbols>,
    policy: CapturePolicy,
    looked: Option<Moment>,
    pub(super) taking: bool,
    pub(super) naming: bool,
    to_name: Option<Arc<Profile>>,
    to_learn: Option<Arc<Profile>>,
    waiting: Option<CaptureRequest>,
    lost: u64,
    pub(super) began: Began,
}

impl Heap {
    pub(super) fn new(other: Option<Source>, symbolizer: Option<Arc<Symbolizer>>) -> Self {
        // Known before the first look, also when there will be none.
        let known = symbolizer.as_ref().and_then(|symbolizer| symbolizer.mappings().ok());
        let mappings = Arc::new(known.unwrap_or_default());
        Self { other, symbolizer, mappings, ..Self::default() }
    }

    pub(super) fn source(&self) -> Option<Source> {
        let table = self.table.clone().map(Source::Recorder);
        table.or_else(|| self.other.clone())
    }

    /// What was taken of a former program says nothing of the one that runs now. Jobs under way still end, and whoever
    /// waits gets a profile of the new one.
    pub(super) fn forget(&mut self, symbolizer: Option<Arc<Symbolizer>>) {
        let (taking, naming, waiting) = (self.taking, self.naming, self.waiting.take());
        *self = Self { taking, naming, waiting, ..Self::new(self.other.take(), symbolizer) };
    }

    fn look_is_due(&mut self, seen: &Assessment, named: bool) -> bool {
        let left = seen.forecast.map_or(f64::INFINITY, |forecast| forecast.low);
        let gap = match (seen.level > Level::Calm, named) {
            (false, _) => LOOK_CALM,
            // Several before the end however near it is.
            (true, false) => (left / 50.0).clamp(LOOK_DANGER, LOOK_NAMED),
            (true, true) => LOOK_NAMED,
        };
        let due = self.looked.is_none_or(|looked| seen.at.since(looked) >= gap);
        if due {
            self.looked = Some(seen.at);
        }
        due
    }
}

impl Watcher {
    pub(super) fn look_at_heap(&mut self, sample: &Sample, seen: &Assessment) {
        self.look_for_recorder();
        let Some(source) = self.heap.source() else { return };
        if self.heap.taking || !self.profiling {
            return;
        }
        // While nobody is told, a name may still be taken back.
        let named = |open: &Incident| open.culprit.is_some() && open.told.is_some();
        let named = self.tracker.open().is_some_and(named);
        let (warm_up, headroom) = (self.context.detector.warm_up, source.kind().headroom());
        match self.heap.policy.decide(sample, seen, warm_up, named, headroom) {
            Decision::Take(reason) => self.take(source, reason, None),
            Decision::Wait if source.is_free() && self.heap.look_is_due(seen, named) => {
                self.take(source, Reason::Look, None);
            }
            Decision::Wait => {}
            Decision::Skip => {
                tracing::warn!(target_name = %self.name, used = %seen.used, source = source.kind().as_str(), "no heap profile: too little headroom for the process to bear one");
                lock(&self.slot.status).captures.skipped += 1;
            }
        }
    }

    fn look_for_recorder(&mut self) {
        if self.heap.table.is_none()
            && let Some(table) = self.context.recorders.table(self.tracker.identity())
        {
            tracing::info!(target_name = %self.name, pid = self.collector.pid(), "the process writes a flight recorder");
            self.heap.table = Some(table);
            lock(&self.slot.status).recorder = true;
        }
    }

    fn take(&mut self, mut source: Source, reason: Reason, request: Option<CaptureRequest>) {
        if let (Source::Files(_, _, after), true) = (&mut source, request.is_some()) {
            // Whoever asks wants the newest there is, seen before or not.
            *after = None;
        }
        self.heap.taking = true;
        let (_, wall) = self.context.now();
        self.heap.began.taking = wall;
        let (symbolizer, mappings) =
            (self.heap.symbolizer.clone(), Arc::clone(&self.heap.mappings));
        let kind = source.kind();
        let taken = source.take(wall, symbolizer, mappings);
        self.jobs.spawn(jobs::take(taken, kind, reason, request));
    }

    pub(super) fn requested(&mut self, request: CaptureRequest) {
        match self.heap.source() {
            None => request.refuse(CaptureError::Unavailable(
                "this target has no flight recorder, no probe (--probe), no pprof address (--pprof) and no dump files (--dump-files)".into(),
            )),
            Some(_) if self.heap.taking && self.heap.waiting.is_some() => {
                request.refuse(CaptureError::Busy);
            }
            Some(_) if self.heap.taking => self.heap.waiting = Some(request),
            Some(source) => match self.unbearable(&source) {
                Some(why) => request.refuse(CaptureError::Unavailable(why)),
                None => self.take(source, Reason::Requested, Some(request)),
            },
        }
    }

    /// Why the process would not bear to be asked now.
    fn unbearable(&self, source: &Source) -> Option<String> {
        let (used, limit) = self.last_use();
        let (left, needed) = (limit? - used, source.kind().headroom());
        (left < needed).then(|| {
            let kind = source.kind().as_str();
            format!("only {left} are left under the limit, and a profile from the {kind} needs {needed}: it could be what kills")
        })
    }

    pub(super) fn taken(&mut self, done: jobs::Taking) {
        self.heap.taking = false;
        if !matches!(done.result, Ok(None)) {
            self.capture_took(done.source, done.took);
        }
        match done.result {
            Ok(Some(taken)) => self.learned(taken, done.reason, done.request),
            Ok(None) => {
                if let Some(request) = done.request {
                    let nothing = "no dump file of this process that is newer than the last";
                    request.refuse(CaptureError::Unavailable(nothing.into()));
                }
            }
            Err(error) => self.taking_failed(error, done.request),
        }
        if let Some(request) = self.heap.waiting.take() {
            self.requested(request);
        }
    }

    pub(super) fn capture_took(&self, source: SourceKind, took: Duration) {
        self.context.meter(|meters| meters.captures.entry(source.as_str()).or_default().add(took));
    }

    fn learned(&mut self, taken: Taken, reason: Reason, request: Option<CaptureRequest>) {
        let profile = &taken.profile;
        tracing::debug!(target_name = %self.name, reason = reason.as_str(), source = taken.source.as_str(), inuse = %profile.inuse_space(), "the heap was looked at");
        self.heap.ramp.add(profile);
        self.heap.mappings = Arc::new(profile.mappings.clone());
        self.told_of_losses(profile.lost_samples);
        {
            let mut status = lock(&self.slot.status);
            status.last_capture = Some(profile.taken);
            status.recorder_fill = taken.fill.or(status.recorder_fill);
        }
        if let (Some(number), Some(Source::Files(_, _, after))) = (taken.file, &mut self.heap.other)
        {
            *after = Some(number);
        }
        if !taken.symbols.is_empty() {
            self.heap.symbols = Arc::new(taken.symbols.clone());
        }
        let kept = match request {
            Some(CaptureRequest::Show(answer)) => {
                let shown = Shown {
                    profile: Arc::new(taken.profile),
                    symbols: Arc::clone(&self.heap.symbols),
                    symbolizer: self.heap.symbolizer.clone(),
                };
                let profile = Arc::clone(&shown.profile);
                // Whoever asked may have gone away.
                answer.send(Ok(shown)).ok();
                profile
            }
            None if reason == Reason::Look => Arc::new(taken.profile),
            request => self.keep(taken, reason, request),
        };
        if self.tracker.open().is_some() {
            self.heap.to_name = Some(kept);
        }
        self.name_next();
    }

    /// Stores a profile, and has the names of all its addresses looked up while the process is there to be asked.
    fn keep(
        &mut self,
        taken: Taken,
        reason: Reason,
        request: Option<CaptureRequest>,
    ) -> Arc<Profile> {
        let used = self.last.as_ref().map_or(Bytes(0), |(_, seen)| seen.used);
        self.heap.policy.took(used);
        tracing::info!(target_name = %self.name, reason = reason.as_str(), source = taken.source.as_str(), inuse = %taken.profile.inuse_space(), "heap profile taken");
        let mut dump = self.describe(reason.as_str(), taken.source, &taken.profile);
        let (profile, raw, encoding) = taken.archived();
        dump.encoding = encoding;
        let profile = Arc::new(profile);
        self.heap.to_learn = Some(Arc::clone(&profile));
        self.jobs.spawn(jobs::store(Arc::clone(&self.context.store), dump, raw, request));
        profile
    }

    fn told_of_losses(&mut self, lost: u64) {
        if lost > self.heap.lost {
            tracing::warn!(target_name = %self.name, lost, "the flight recorder has no room for all stacks or objects; what it lost is counted, not known");
        }
        self.heap.lost = lost;
        lock(&self.slot.status).lost_samples = lost;
    }

    /// Names one profile's growth at a time, as reading debug information takes megabytes; of those that wait only the
    /// newest counts.
    fn name_next(&mut self) {
        if self.heap.naming {
            return;
        }
        let names = jobs::Names::of(&self.heap);
        if let Some(profile) = self.heap.to_name.take() {
            self.heap.naming = true;
            self.heap.began.naming = self.context.now().1;
            let earlier = self.heap.ramp.since(self.growth_began());
            self.jobs.spawn(jobs::name(earlier, profile, names));
        } else if let Some(profile) = self.heap.to_learn.take() {
            self.heap.naming = true;
            self.jobs.spawn(jobs::learn(profile, names));
        }
    }

    /// When the growth of the open incident began, as far as the window that found it tells.
    pub(super) fn growth_began(&self) -> WallTime {
        self.tracker.open().map_or(WallTime(0.0), |open| {
            open.opened.plus(-open.trend.map_or(0.0, |trend| trend.window))
        })
    }

    fn taking_failed(&mut self, error: String, request: Option<CaptureRequest>) {
        tracing::warn!(target_name = %self.name, error, "no heap profile");
        lock(&self.slot.status).captures.failed += 1;
        let (_, wall) = self.context.now();
        // A name that earlier profiles gave stays as good as it was.
        if self.tracker.open().is_some_and(|open| open.culprit.is_none())
            && let Some(change) =
                self.tracker.culprit_pending(format!("no heap profile: {error}"), wall)
        {
            self.context.changed(&change);
        }
        if let Some(request) = request {
            request.refuse(CaptureError::Failed(error));
        }
    }

    pub(super) fn stored(&mut self, id: Result<String, String>) {
        self.trace_profile(&id);
        let mut status = lock(&self.slot.status);
        match id {
            Ok(id) => {
                status.captures.ok += 1;
                self.tracker.add_dump(id);
            }
            Err(error) => {
                status.captures.failed += 1;
                self.context.meter(|meters| meters.unstored += 1);
                tracing::warn!(target_name = %self.name, error, "the heap dump could not be stored");
            }
        }
    }

    /// The names, or why there are none. A job that only learned names says nothing.
    pub(super) fn named(&mut self, result: Option<(Duration, Box<jobs::Naming>)>) {
        self.heap.naming = false;
        self.name_next();
        let Some((took, result)) = result else { return };
        self.context.meter(|meters| meters.naming.add(took));
        if let Some(change) = self.conclude(*result) {
            self.trace_name(&change.incident);
            self.context.changed(&change);
        }
    }

    pub(super) fn conclude(&mut self, result: jobs::Naming) -> Option<Change> {
        let (_, wall) = self.context.now();
        match result {
            Ok(culprits) => {
                let change = self.tracker.name_culprits(culprits, wall)?;
                let functions: Vec<&str> =
                    change.incident.suspects.iter().map(|c| c.frame.function.as_str()).collect();
                tracing::info!(target_name = %self.name, ?functions, "function named");
                Some(change)
            }
            Err(reason) => {
                let kind =
                    self.last.as_ref().map_or(Kind::Undecided, |(_, seen)| seen.verdict.kind);
                self.tracker.culprit_pending(reason.of(kind).to_string(), wall)
            }
        }
    }

    /// What is kept beside a dump.
    pub(super) fn describe(&self, reason: &str, source: SourceKind, profile: &Profile) -> NewDump {
        let last = self.last.as_ref().map(|(_, seen)| seen);
        let incident = self.tracker.open().map(|open| open.id.clone());
        let TargetIdentity { pid, start_ticks, .. } = *self.tracker.identity();
        NewDump {
            target: self.name.clone(),
            pid,
            taken: profile.taken,
            source,
            inuse_space: profile.inuse_space(),
            lost_samples: profile.lost_samples,
            used: last.map(|seen| seen.used),
            limit: last.and_then(|seen| seen.limit),
            verdict: last.map_or(Kind::Undecided, |seen| seen.verdict.kind),
            growth: last.and_then(|seen| seen.trend).map(|trend| trend.slope),
            ramp: incident.clone().unwrap_or_else(|| format!("{pid}-{start_ticks}")),
            incident,
            build_id: self.heap.symbolizer.as_ref().and_then(|s| s.build_id().map(str::to_owned)),
            modules: modules(&profile.mappings),
            reason: reason.to_owned(),
            ..NewDump::default()
        }
    }
}

fn modules(mappings: &[Mapping]) -> Vec<Module> {
    let mut modules: Vec<Module> = Vec::new();
    for mapping in mappings {
        if let Some(build_id) = &mapping.build_id
            && !modules.iter().any(|module| module.path == mapping.path)
        {
            modules.push(Module { path: mapping.path.clone(), build_id: Some(build_id.clone()) });
        }
    }
    modules
}
