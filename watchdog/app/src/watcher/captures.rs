//! Heap profiles of one watcher: taken when the policy says so, stored, and compared until the function is named.

use std::sync::Arc;

use watchdog_core::detector::Assessment;
use watchdog_core::profile::Profile;
use watchdog_core::sample::Sample;
use watchdog_core::units::Bytes;
use watchdog_core::verdict::Kind;
use watchdog_heap::store::NewDump;
use watchdog_web::dumps::CaptureError;

use super::{Watcher, jobs};
use crate::context::{CaptureRequest, lock};
use crate::policy::{Decision, Reason};

impl Watcher {
    pub(super) fn capture_if_due(&mut self, sample: &Sample, seen: &Assessment) {
        if self.heap.is_none() || self.capturing || !self.profiling {
            return;
        }
        let named = self.tracker.open().is_some_and(|open| open.culprit.is_some());
        match self.policy.decide(sample, seen, self.context.detector.warm_up, named) {
            Decision::Wait => {}
            Decision::Take(reason) => self.capture(reason, None),
            Decision::Skip => {
                tracing::warn!(target_name = %self.name, used = %seen.used, "no heap profile: too little headroom for the process to bear one");
                lock(&self.slot.status).captures.skipped += 1;
            }
        }
    }

    fn capture(&mut self, reason: Reason, request: Option<CaptureRequest>) {
        let Some(heap) = self.heap.clone() else { return };
        self.capturing = true;
        let (_, wall) = self.context.now();
        self.jobs.spawn(jobs::capture(heap, wall, reason, request));
    }

    pub(super) fn requested(&mut self, request: CaptureRequest) {
        let refusal = match (&self.heap, self.capturing) {
            (None, _) => CaptureError::Unavailable(
                "this target has no probe; name its admin address with --probe".into(),
            ),
            (_, true) => CaptureError::Busy,
            (Some(_), false) => return self.capture(Reason::Requested, Some(request)),
        };
        // Whoever asked may have gone away.
        request.send(Err(refusal)).ok();
    }

    pub(super) fn captured(&mut self, captured: jobs::Captured) {
        self.capturing = false;
        let (raw, profile) = match captured.result {
            Ok(pair) => pair,
            Err(error) => return self.capture_failed(error, captured.request),
        };
        let used = self.last.as_ref().map_or(Bytes(0), |(_, seen)| seen.used);
        self.policy.took(used);
        let profile = Arc::new(profile);
        tracing::info!(target_name = %self.name, reason = captured.reason.as_str(), bytes = raw.len(), inuse = %profile.inuse_space(), "heap profile taken");
        let meta = self.dump_meta(captured.reason, &profile);
        self.jobs.spawn(jobs::store(Arc::clone(&self.context.store), meta, raw, captured.request));
        match (&self.first, &self.symbolizer) {
            (None, _) => self.first = Some(profile),
            (Some(_), Some(_)) if self.tracker.open().is_some() => {
                self.to_name = Some(profile);
                self.name_next();
            }
            _ => {}
        }
    }

    /// Names one profile's growth at a time, as reading debug information takes megabytes; of those that wait only the
    /// newest counts.
    fn name_next(&mut self) {
        if self.naming {
            return;
        }
        if let (Some(first), Some(symbolizer)) = (&self.first, &self.symbolizer)
            && let Some(profile) = self.to_name.take()
        {
            self.naming = true;
            self.jobs.spawn(jobs::name(Arc::clone(first), profile, Arc::clone(symbolizer)));
        }
    }

    fn capture_failed(&mut self, error: String, request: Option<CaptureRequest>) {
        tracing::warn!(target_name = %self.name, error, "no heap profile");
        lock(&self.slot.status).captures.failed += 1;
        let (_, wall) = self.context.now();
        if let Some(change) =
            self.tracker.culprit_pending(format!("no heap profile: {error}"), wall)
        {
            self.context.changed(change);
        }
        if let Some(request) = request {
            request.send(Err(CaptureError::Failed(error))).ok();
        }
    }

    pub(super) fn stored(&mut self, id: Result<String, String>) {
        let mut status = lock(&self.slot.status);
        match id {
            Ok(id) => {
                status.captures.ok += 1;
                self.tracker.add_dump(id);
            }
            Err(error) => {
                status.captures.failed += 1;
                tracing::warn!(target_name = %self.name, error, "the heap dump could not be stored");
            }
        }
    }

    pub(super) fn named(&mut self, result: jobs::Naming) {
        self.naming = false;
        self.name_next();
        let (_, wall) = self.context.now();
        let change = match result {
            Ok(culprit) => {
                tracing::info!(target_name = %self.name, function = %culprit.frame.function, growth = %culprit.growth, "function named");
                self.tracker.name_culprit(culprit, wall)
            }
            Err(reason) => self.tracker.culprit_pending(reason.to_string(), wall),
        };
        if let Some(change) = change {
            self.context.changed(change);
        }
    }

    fn dump_meta(&self, reason: Reason, profile: &Profile) -> NewDump {
        let last = self.last.as_ref();
        NewDump {
            target: self.name.clone(),
            pid: self.collector.pid(),
            taken: profile.taken,
            inuse_space: profile.inuse_space(),
            used: last.map(|(_, seen)| seen.used),
            limit: last.and_then(|(_, seen)| seen.limit),
            verdict: last.map_or(Kind::Undecided, |(_, seen)| seen.verdict.kind),
            reason: reason.as_str().to_owned(),
        }
    }
}
