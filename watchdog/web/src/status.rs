//! What the watchdog knows at one moment, as plain data that the application keeps and this crate shows.

mod meters;

use std::time::Duration;

use watchdog_core::detector::Assessment;
use watchdog_core::fit::Fit;
use watchdog_core::history::Row;
use watchdog_core::incident::{Incident, State, TargetIdentity};
use watchdog_core::sample::Sample;
use watchdog_core::units::{Bytes, WallTime};

pub use meters::{DeadReports, Durations, Meters, ReadTimes, Selection};

/// Where the pages, the API and the metrics get their data from. Called once per request: neither method may block.
pub trait Source: Send + Sync {
    /// Everything except the series.
    fn status(&self) -> Status;

    /// The rows of a target's plot, oldest first; `None` when there is no such target.
    fn series(&self, target: &str) -> Option<Vec<Row>>;
}

/// The watchdog and all it watches.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// What is running.
    pub build: Build,
    /// When this watchdog started.
    pub started: WallTime,
    /// Whether targets are looked for while running, so that having none yet is no fault.
    pub discovering: bool,
    /// One entry per target; names are unique, and of two with the same name only the first is shown.
    pub targets: Vec<TargetStatus>,
    /// Recent incidents, newest first; the holder bounds them.
    pub incidents: Vec<Incident>,
    /// One entry per sink.
    pub deliveries: Vec<SinkStatus>,
    /// One entry per store of rules.
    pub rules: Vec<RulesStatus>,
    /// Heap dumps on disk.
    pub kept: Kept,
    /// What the watchdog itself uses.
    pub own: Own,
    /// One entry per configured target: how many processes it means.
    pub selections: Vec<Selection>,
    /// How long the watchdog's own work takes, and what of it failed.
    pub meters: Meters,
}

/// The heap dumps that are kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kept {
    /// How many.
    pub dumps: u64,
    /// What they take together.
    pub bytes: Bytes,
    /// What they may take together.
    pub limit: Bytes,
}

/// What is running.
#[derive(Clone, Debug, Default)]
pub struct Build {
    /// Version of the package.
    pub version: String,
    /// Commit it was built from, empty when unknown.
    pub commit: String,
}

/// What the watchdog itself uses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Own {
    /// Its resident memory.
    pub rss: Bytes,
    /// Processor time in user and system mode since it started, in seconds.
    pub cpu_seconds: f64,
    /// Its address space.
    pub virtual_memory: Bytes,
    /// Its threads.
    pub threads: u64,
    /// File descriptors it holds open, where they can be counted.
    pub open_fds: Option<u64>,
    /// File descriptors it may hold open, where there is a bound and it can be read.
    pub max_fds: Option<u64>,
}

/// One watched process.
#[derive(Clone, Debug, Default)]
pub struct TargetStatus {
    /// Who it is.
    pub identity: TargetIdentity,
    /// Whether the process was there at the last look.
    pub up: bool,
    /// The last look that worked.
    pub sample: Option<Sample>,
    /// What was concluded from it.
    pub assessment: Option<Assessment>,
    /// What is learned of it, once there was time to.
    pub fit: Option<Fit>,
    /// Seconds from the last look to the next.
    pub sample_interval: f64,
    /// How much later than intended the looks began.
    pub delays: Delays,
    /// Where the limit was found, in a word such as `cgroup`, `flag` or `environment`.
    pub limit_source: Option<String>,
    /// Reads per source.
    pub reads: Reads,
    /// Heap captures by outcome.
    pub captures: Captures,
    /// Whether it writes a flight recorder, which is read without its help.
    pub recorder: bool,
    /// Sampled allocations that its flight recorder had no room for.
    pub lost_samples: u64,
    /// How full the fullest part of its flight recorder was when last read, 0 to 1.
    pub recorder_fill: Option<f64>,
    /// Whether its probe answered when last asked; `None` without one and before the first answer.
    pub probe: Option<bool>,
    /// Whether its request counter could be read at the last try; `None` without one and before the first try.
    pub counter: Option<bool>,
    /// When a heap profile was last taken, stored or only looked at.
    pub last_capture: Option<WallTime>,
    /// Incidents by the states they reached.
    pub incidents: IncidentCounts,
    /// Kills of this target's processes by the kernel for their memory, as far as seen.
    pub oom_kills: u64,
}

/// Reads of one source, since the target was first seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadCount {
    /// Reads that worked.
    pub ok: u64,
    /// Reads that failed.
    pub error: u64,
}

/// Reads per source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// `/proc/PID`.
    pub proc: ReadCount,
    /// The memory controller.
    pub cgroup: ReadCount,
    /// The allocator's statistics over HTTP.
    pub allocator: ReadCount,
    /// The request counter over HTTP.
    pub requests: ReadCount,
}

/// How much later than intended the looks at a target began, since it was first seen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Delays {
    /// All delays together, in seconds.
    pub total_seconds: f64,
    /// The longest, in seconds.
    pub longest_seconds: f64,
}

impl Delays {
    /// Counts one look that began so much later than intended.
    pub fn add(&mut self, delay: Duration) {
        let seconds = delay.as_secs_f64();
        self.total_seconds += seconds;
        self.longest_seconds = self.longest_seconds.max(seconds);
    }
}

/// Heap captures by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Captures {
    /// Stored.
    pub ok: u64,
    /// Tried and failed.
    pub failed: u64,
    /// Wanted and not tried, as the headroom would not have borne it or profiling is off.
    pub skipped: u64,
}

/// How many incidents reached each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IncidentCounts([u64; State::ALL.len()]);

impl IncidentCounts {
    /// Counts one incident that reached `state`.
    pub fn add(&mut self, state: State) {
        for (count, known) in self.0.iter_mut().zip(State::ALL) {
            *count = count.saturating_add(u64::from(known == state));
        }
    }

    /// Every state with its count.
    pub fn iter(&self) -> impl Iterator<Item = (State, u64)> {
        State::ALL.into_iter().zip(self.0)
    }
}

/// Deliveries of one sink since start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SinkStatus {
    /// Its name in the configuration; the label of its metrics.
    pub name: String,
    /// Reports that arrived.
    pub delivered: u64,
    /// Attempts that are tried again.
    pub retried: u64,
    /// Reports given up after an error that no retry mends or after the last retry.
    pub failed: u64,
    /// Reports dropped because the queue was full.
    pub dropped: u64,
    /// Reports that wait now.
    pub queue_length: u64,
    /// Reports that may wait at once.
    pub capacity: u64,
    /// How long the report that waits longest has waited, in seconds; 0 when none waits.
    pub oldest_seconds: f64,
    /// When the sink last took something.
    pub last_success: Option<WallTime>,
    /// Reports that were given up and are kept for another try.
    pub dead: DeadReports,
}

/// What became of the rules in one store since start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RulesStatus {
    /// Its name; the label of its metrics.
    pub store: String,
    /// Writes that worked.
    pub written: u64,
    /// Writes that failed; each is tried again.
    pub failed: u64,
    /// Targets whose rules are kept there.
    pub groups: u64,
}

impl Status {
    /// The target of that name.
    pub(crate) fn target(&self, name: &str) -> Option<&TargetStatus> {
        self.targets.iter().find(|target| target.identity.name == name)
    }

    /// The incident of a target that is still open.
    pub(crate) fn open_incident(&self, target: &str) -> Option<&Incident> {
        self.incidents.iter().find(|i| i.target.name == target && !i.state.is_closed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_add_up_and_the_longest_stays() {
        let mut delays = Delays::default();
        [2, 250, 0].map(Duration::from_millis).into_iter().for_each(|delay| delays.add(delay));
        assert!((delays.total_seconds - 0.252).abs() < 1e-9, "{delays:?}");
        assert_eq!(delays.longest_seconds, 0.25);
    }

    #[test]
    fn an_incident_is_counted_under_the_state_it_reached_and_no_other() {
        let mut counts = IncidentCounts::default();
        counts.add(State::Killed);
        counts.add(State::Killed);
        counts.add(State::Suspected);
        let seen: Vec<_> = counts.iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(seen, [(State::Suspected, 1), (State::Killed, 2)]);
    }
}
