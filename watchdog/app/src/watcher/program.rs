//! Looks whether the process has become another program: `exec` keeps its id and its start, and nothing of its memory.

use watchdog_core::incident::Ending;
use watchdog_core::units::Moment;

use super::{Watcher, symbols_of};
use crate::context::lock;
use crate::workload::program_of;

/// Seconds between two looks: a wrapper becomes its program within moments, and later it hardly ever happens.
const LOOK: f64 = 15.0;

/// The program of the process.
#[derive(Default)]
pub(super) struct Program {
    looked: Option<Moment>,
    /// When the present one was first seen, if it is not the one that the process was attached with.
    since: Option<Moment>,
}

impl Program {
    /// Seconds since the process or its present program started, whichever is later.
    pub(super) fn age(&self, at: Moment, of_process: f64) -> f64 {
        self.since.map_or(of_process, |since| of_process.min(at.since(since)))
    }
}

impl Watcher {
    /// A program that cannot be read is no other one. One that was moved on the disk looks like another; that costs the
    /// windows and keeps the record.
    pub(super) fn look_at_program(&mut self, at: Moment) {
        if self.program.looked.is_some_and(|looked| at.since(looked) < LOOK) {
            return;
        }
        self.program.looked = Some(at);
        let Some(exe) = program_of(&self.collector) else { return };
        if lock(&self.slot.workload).runs(exe.clone()) {
            self.program.since = Some(at);
            tracing::info!(target_name = %self.name, pid = self.collector.pid(), exe, "the process has become another program");
            self.forget_former_program(&exe);
        }
    }

    /// What was open is closed, and heap profiles of the former program are compared with no later ones.
    fn forget_former_program(&mut self, exe: &str) {
        let (_, wall) = self.context.now();
        let ending = Ending::Other(format!("the process has become another program: {exe}"));
        let (used, limit) = self.last_use();
        if let Some(change) = self.tracker.ended(ending, used, limit, wall) {
            self.changed(&change);
        }
        let symbolizer = symbols_of(&self.context, &self.name, &self.collector);
        lock(&self.slot.symbolizer).clone_from(&symbolizer);
        self.context.recorders.forget(self.tracker.identity());
        self.heap.forget(symbolizer);
        let mut status = lock(&self.slot.status);
        (status.recorder, status.recorder_fill) = (false, None);
    }
}
