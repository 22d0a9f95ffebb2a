//! The end of a process: what its flight recorder still tells, and how its incident is closed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use watchdog_core::incident::Ending;
use watchdog_core::profile::Mapping;
use watchdog_core::units::WallTime;
use watchdog_heap::capture::SourceKind;

use super::source::{self, Taken};
use super::{Watcher, jobs};
use crate::context::lock;
use crate::recorders::Table;

/// Jobs under way when the process ends may finish within this time, as a profile taken in time still names the function.
const LAST_JOBS: Duration = Duration::from_secs(3);

impl Watcher {
    /// The process is gone: jobs under way may still name the function, and so may its flight recorder; then the incident
    /// is closed.
    pub(super) async fn ended(&mut self) {
        let ending = self.collector.ending();
        let killed = matches!(ending, Ending::OomKilled(_));
        lock(&self.slot.workload).ended(killed);
        let (_, wall) = self.context.now();
        let deadline = tokio::time::Instant::now() + LAST_JOBS;
        while let Ok(Some(done)) = tokio::time::timeout_at(deadline, self.jobs.join_next()).await {
            self.done(done);
        }
        if killed {
            lock(&self.slot.status).oom_kills += 1;
            // Also a kill that nobody foresaw is to have its function.
            self.tracker.open_now(wall);
        }
        if self.tracker.open().is_some()
            && let Some(table) = self.heap.table.take()
        {
            self.read_last(table, wall).await;
        }
        let (used, limit) = self.last_use();
        tracing::info!(target_name = %self.name, pid = self.collector.pid(), ?ending, "the process ended");
        if let Some(change) = self.tracker.ended(ending, used, limit, wall) {
            self.changed(&change);
        }
    }

    /// What the flight recorder held at the end is stored, and names the function.
    async fn read_last(&mut self, table: Arc<Table>, wall: WallTime) {
        let mappings: Vec<Mapping> = self.heap.mappings.to_vec();
        let read = move || source::from_table(&table, wall, mappings);
        let began = Instant::now();
        let taken: Result<Taken, String> =
            tokio::task::spawn_blocking(read).await.unwrap_or_else(|e| Err(e.to_string()));
        self.capture_took(SourceKind::AfterKill, began.elapsed());
        let taken = match taken {
            Ok(taken) => taken,
            Err(error) => {
                tracing::warn!(target_name = %self.name, error, "the flight recorder of a dead process cannot be read");
                return;
            }
        };
        self.heap.ramp.add(&taken.profile);
        let growth = self.growth_began();
        let mut dump = self.describe("after-kill", SourceKind::AfterKill, &taken.profile);
        let (profile, raw, encoding) = taken.archived();
        dump.encoding = encoding;
        let profile = Arc::new(profile);
        let names = jobs::Names::of(&self.heap);
        let searching = Instant::now();
        let named = jobs::culprits(self.heap.ramp.since(growth), profile, names, true).await;
        self.context.meter(|meters| meters.naming.add(searching.elapsed()));
        // Whether it is told at once is decided by the end of the incident, which follows.
        self.conclude(named);
        let stored = jobs::store(Arc::clone(&self.context.store), dump, raw, None).await;
        self.done(Ok(stored));
    }
}
