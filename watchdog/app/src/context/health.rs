//! The watchdog's own health, as the metrics show it: what it measures of its work, and how full its stores are.

use std::collections::BTreeMap;

use watchdog_web::status::{DeadReports, Kept, Meters, Selection, SinkStatus};

use super::{Context, lock};

impl Context {
    pub(super) fn kept(&self) -> Kept {
        let usage = self.store.usage();
        Kept {
            dumps: u64::try_from(usage.dumps).unwrap_or(u64::MAX),
            bytes: usage.bytes,
            limit: self.store.bounds().total_bytes,
        }
    }

    /// Two configured targets that are called the same count as one.
    pub(super) fn selections(&self) -> Vec<Selection> {
        let mut sums: BTreeMap<String, u64> = BTreeMap::new();
        for selection in lock(&self.selections).values() {
            *sums.entry(selection.selector.clone()).or_default() += selection.processes;
        }
        let of = |(selector, processes)| Selection { selector, processes };
        sums.into_iter().map(of).collect()
    }

    /// Notes how many processes the configured target at `place` means now.
    pub fn selected(&self, place: usize, selector: &str, processes: usize) {
        let processes = processes.try_into().unwrap_or(u64::MAX);
        let selection = Selection { selector: selector.to_owned(), processes };
        lock(&self.selections).insert(place, selection);
    }

    /// Notes a measurement of the watchdog's own work.
    pub fn meter(&self, note: impl FnOnce(&mut Meters)) {
        note(&mut lock(&self.meters));
    }

    pub(super) fn deliveries(&self) -> Vec<SinkStatus> {
        let count = |reports: usize| reports.try_into().unwrap_or(u64::MAX);
        self.pipeline
            .stats()
            .into_iter()
            .map(|sink| SinkStatus {
                name: sink.sink.to_owned(),
                delivered: sink.delivered,
                retried: sink.retried,
                failed: sink.failed,
                dropped: sink.dropped,
                queue_length: count(sink.queued),
                capacity: count(sink.capacity),
                oldest_seconds: sink.oldest.unwrap_or_default().as_secs_f64(),
                last_success: sink.last_success,
                dead: DeadReports {
                    refused: count(sink.refused),
                    crowded: count(sink.crowded),
                    expired: count(sink.dead.saturating_sub(sink.refused + sink.crowded)),
                },
            })
            .collect()
    }
}
