//! What the watchdog measures of its own work: durations in buckets, and counts of what failed.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ReadCount;

/// How long something took, counted in buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Durations {
    /// One count per bound, and one for what was longer than the last.
    counts: [u64; Durations::BOUNDS.len() + 1],
    seconds: f64,
}

impl Durations {
    /// Upper ends of the buckets in seconds: from a read of `/proc`, tens of microseconds, to a profile over HTTP that
    /// runs into its deadline. Each is five times the one before, enough to tell a habit from a hitch.
    pub const BOUNDS: [f64; 7] = [0.0002, 0.001, 0.005, 0.025, 0.125, 0.625, 3.125];

    /// Counts one duration.
    pub fn add(&mut self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = Self::BOUNDS.iter().position(|bound| seconds <= *bound);
        if let Some(count) = self.counts.get_mut(bucket.unwrap_or(Self::BOUNDS.len())) {
            *count = count.saturating_add(1);
        }
        self.seconds += seconds;
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All of them together, in seconds.
    pub fn seconds(&self) -> f64 {
        self.seconds
    }

    /// Each bound with how many were not longer.
    pub fn up_to(&self) -> impl Iterator<Item = (f64, u64)> {
        let sums = self.counts.iter().scan(0_u64, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        Self::BOUNDS.into_iter().zip(sums)
    }
}

/// How long reads of each source take, over all targets.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ReadTimes {
    /// `/proc/PID`.
    pub proc: Durations,
    /// The memory controller.
    pub cgroup: Durations,
    /// The allocator's statistics over HTTP. Nobody waits for a flight recorder's.
    pub allocator: Durations,
    /// The request counter over HTTP.
    pub requests: Durations,
}

/// The watchdog's own work since it started.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Meters {
    /// Reads of each source.
    pub reads: ReadTimes,
    /// Heap profiles taken, by the word for where they come from; there are five such words.
    pub captures: BTreeMap<&'static str, Durations>,
    /// Searches for the function that keeps the memory.
    pub naming: Durations,
    /// Answers to `/metrics`; the server fills them in.
    pub scrapes: Durations,
    /// Heap profiles that were taken and could not be stored.
    pub unstored: u64,
    /// Writes of the detectors' state, where it is kept.
    pub state_writes: Option<ReadCount>,
}

/// What one configured target means at present.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The target as it is configured: its name, else the process's name, `pod` or `pid`.
    pub selector: String,
    /// Processes that are meant, watched or not.
    pub processes: u64,
}

/// Reports that were given up and are kept for another try, by why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeadReports {
    /// The receiver refused them for good.
    pub refused: u64,
    /// They could not be delivered in time.
    pub expired: u64,
    /// Too many waited.
    pub crowded: u64,
}

impl DeadReports {
    /// Each reason by its word, with its reports.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [("refused", self.refused), ("expired", self.expired), ("crowded", self.crowded)]
            .into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_its_bucket_and_in_every_longer_one() {
        let mut durations = Durations::default();
        for millis in [0, 1, 2, 5000] {
            durations.add(Duration::from_millis(millis));
        }
        let counts: Vec<u64> = durations.up_to().map(|(_, count)| count).collect();
        assert_eq!(counts, [1, 2, 3, 3, 3, 3, 3]);
        assert_eq!(durations.count(), 4, "the longest is in none but the last");
        assert!((durations.seconds() - 5.003).abs() < 1e-9);
    }
}
