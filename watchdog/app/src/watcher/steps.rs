//! What the watchdog's own traces hear of the way to the function's name.

use watchdog_core::incident::Incident;
use watchdog_core::units::WallTime;

use super::Watcher;
use crate::otlp::StepRecord;

/// When the work of the present step began.
#[derive(Default)]
pub(super) struct Began {
    pub(super) taking: WallTime,
    pub(super) naming: WallTime,
}

impl Watcher {
    /// A heap profile was stored for the open incident, or could not be.
    pub(super) fn trace_profile(&self, outcome: &Result<String, String>) {
        let Some(incident) = self.tracker.open() else { return };
        let outcome = outcome.as_deref().map_err(String::as_str);
        let record = self.step(incident, self.heap.began.taking, outcome);
        self.context.otlp.heap_profile(&record);
    }

    /// The search for the function has come to a new end.
    pub(super) fn trace_name(&self, incident: &Incident) {
        let found = incident.culprit.as_ref().map(|culprit| culprit.frame.function.as_str());
        let pending = incident.culprit_pending.as_deref().unwrap_or("not known");
        let record = self.step(incident, self.heap.began.naming, found.ok_or(pending));
        self.context.otlp.name_function(&record);
    }

    fn step<'a>(
        &self,
        incident: &'a Incident,
        started: WallTime,
        outcome: Result<&'a str, &'a str>,
    ) -> StepRecord<'a> {
        StepRecord { incident, started, finished: self.context.now().1, outcome }
    }
}
