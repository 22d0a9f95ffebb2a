//! A recorded series as the exporters of a cluster would have shown it to Prometheus.

use std::time::Duration;

use watchdog_core::sample::Sample;
use watchdog_core::units::Bytes;

use super::column::Column;
use super::promql::Metric;

/// Samples further apart than this are met with one evaluation each: more would see nothing new.
const OFTEN: Duration = Duration::from_secs(60);
/// Between two evaluations otherwise: what kube-prometheus sets. Prometheus' own default of a minute would be later.
const INTERVAL: Duration = Duration::from_secs(30);
/// Prometheus' default.
const LOOKBACK: Duration = Duration::from_secs(300);

/// One container's memory as its exporters show it, without gaps filled: a missing sample is a failed scrape.
///
/// It stays one series for Prometheus through restarts of the process. cAdvisor would begin a new one at each, whose
/// first minutes set off every rule without a usage gate, so this favours the rules.
#[derive(Clone, Debug)]
pub struct Series {
    rss: Column,
    working_set: Column,
    usage_percent: Column,
    heap: Column,
    limit: Column,
}

/// How Prometheus is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Between two evaluations of a rule, in whole seconds; they fall on multiples of it. Never zero.
    pub interval: Duration,
    /// `--query.lookback-delta`: how old a sample an instant selector still takes.
    pub lookback: Duration,
}

impl Series {
    /// From samples in the order of their `at`; one that is not at least a millisecond after the one before, or whose
    /// time is no number, is left out, as Prometheus would refuse it.
    ///
    /// - `container_memory_rss` is anonymous memory, without swap and shared memory.
    /// - The working set is what is in use without inactive file pages. How many file pages are inactive is not
    ///   recorded: half of them, as the kernel keeps its two lists at about the same length. Taken from the cgroup's
    ///   usage where it is known, else from anonymous, shared and file pages of the process. Never more than the limit,
    ///   which the kernel would not allow.
    /// - The heap is what the allocator says is allocated, where it says so.
    /// - A limit of zero is how an exporter says that there is none.
    pub fn from_samples(samples: &[Sample]) -> Self {
        let mut last = f64::NEG_INFINITY;
        let mut taken = Vec::with_capacity(samples.len());
        for sample in samples {
            let at = (sample.at.0 * 1e3).round();
            if at.is_finite() && at > last {
                last = at;
                taken.push((at as i64, sample));
            }
        }
        let column = |value: fn(&Sample) -> Option<f64>| {
            Column::new(taken.iter().filter_map(|(at, sample)| Some((*at, value(sample)?))))
        };
        Self {
            rss: column(|sample| Some(sample.memory.anon.as_f64())),
            working_set: column(|sample| Some(working_set(sample).as_f64())),
            usage_percent: column(|sample| {
                Some(100.0 * working_set(sample).as_f64() / limit(sample)?.as_f64())
            }),
            heap: column(|sample| Some(sample.allocator?.allocated.as_f64())),
            limit: column(|sample| Some(limit(sample)?.as_f64())),
        }
    }

    /// The metric's samples; empty for those that something else reports.
    pub(super) fn column(&self, metric: Metric) -> Option<&Column> {
        match metric {
            Metric::Rss | Metric::ProcessAnon => Some(&self.rss),
            Metric::WorkingSet => Some(&self.working_set),
            Metric::UsagePercent => Some(&self.usage_percent),
            Metric::Heap => Some(&self.heap),
            Metric::Limit | Metric::AvailableMemory => Some(&self.limit),
            Metric::Restarts | Metric::LastOomKilled => None,
        }
    }

    /// First and last sample, in milliseconds.
    pub(super) fn span(&self) -> Option<(i64, i64)> {
        Some((self.rss.points().next()?.0, self.rss.points().last()?.0))
    }

    /// The usual distance between two samples, in whole seconds; zero with fewer than two.
    fn cadence(&self) -> Duration {
        let at: Vec<_> = self.rss.points().map(|(at, _)| at).collect();
        let mut gaps: Vec<_> = at.windows(2).map(|pair| pair[1].abs_diff(pair[0])).collect();
        if gaps.is_empty() {
            return Duration::ZERO;
        }
        let middle = gaps.len() / 2;
        let (_, median, _) = gaps.select_nth_unstable(middle);
        Duration::from_secs((*median + 500) / 1000)
    }
}

impl Settings {
    /// What suits a series: an evaluation every 30 s, or one a sample where samples are more than a minute apart; the
    /// default lookback of 5 min, or twice the distance of samples where that is 5 min or more, because an operator
    /// who scrapes so rarely has to set it, or every rule would be blind between two samples.
    ///
    /// The windows of the rules stay as they are written: one that is shorter than two samples gives nothing.
    pub fn of(series: &Series) -> Self {
        let cadence = series.cadence();
        Self {
            interval: if cadence <= OFTEN { INTERVAL } else { cadence },
            lookback: if cadence < LOOKBACK { LOOKBACK } else { 2 * cadence },
        }
    }
}

fn limit(sample: &Sample) -> Option<Bytes> {
    sample.limit.filter(|limit| *limit > Bytes(0))
}

fn working_set(sample: &Sample) -> Bytes {
    let memory = sample.memory;
    let (needed, file) = match sample.cgroup {
        Some(cgroup) => {
            let needed = cgroup.unreclaimable - memory.swap;
            (needed, cgroup.usage - needed)
        }
        None => (memory.anon + memory.shmem, memory.file),
    };
    let active = needed + Bytes(file.0 / 2);
    limit(sample).map_or(active, |limit| active.min(limit))
}

#[cfg(test)]
mod tests {
    use watchdog_core::sample::{Allocator, Cgroup, Memory};
    use watchdog_core::units::Moment;

    use super::*;

    fn at(seconds: f64) -> Sample {
        Sample { at: Moment(seconds), ..Sample::default() }
    }

    fn every(step: f64) -> Series {
        Series::from_samples(&(0..20).map(|i| at(step * f64::from(i))).collect::<Vec<_>>())
    }

    fn value(sample: Sample, metric: Metric) -> Option<f64> {
        let series = Series::from_samples(&[sample]);
        let found = series.column(metric)?.points().next();
        found.map(|(_, value)| value)
    }

    #[test]
    fn half_of_the_file_pages_count_and_swap_does_not() {
        let memory = Memory {
            anon: Bytes(100),
            shmem: Bytes(10),
            file: Bytes(40),
            swap: Bytes(7),
            rss: Bytes(150),
        };
        let alone = Sample { memory, ..Sample::default() };
        assert_eq!(value(alone, Metric::Rss), Some(100.0));
        assert_eq!(value(alone, Metric::WorkingSet), Some(130.0));
        let capped = Sample { limit: Some(Bytes(120)), ..alone };
        assert_eq!(value(capped, Metric::WorkingSet), Some(120.0));
        assert_eq!(value(capped, Metric::UsagePercent), Some(100.0));
        let cgroup = Cgroup { usage: Bytes(300), unreclaimable: Bytes(207), ..Cgroup::default() };
        let confined = Sample { cgroup: Some(cgroup), ..alone };
        assert_eq!(value(confined, Metric::WorkingSet), Some(250.0));
    }

    #[test]
    fn what_nobody_said_is_absent() {
        assert_eq!(value(at(0.0), Metric::Heap), None);
        assert_eq!(value(at(0.0), Metric::Limit), None);
        let unlimited = Sample { limit: Some(Bytes(0)), ..at(0.0) };
        assert_eq!(value(unlimited, Metric::Limit), None);
        assert_eq!(value(unlimited, Metric::UsagePercent), None);
        let allocator = Allocator { allocated: Bytes(5), ..Allocator::default() };
        let telling = Sample { allocator: Some(allocator), ..at(0.0) };
        assert_eq!(value(telling, Metric::Heap), Some(5.0));
    }

    #[test]
    fn a_sample_out_of_order_is_refused() {
        let samples = [1.0, 1.0002, f64::NAN, 0.5, 2.0].map(at);
        let series = Series::from_samples(&samples);
        let seen: Vec<_> = series.rss.points().map(|(at, _)| at).collect();
        assert_eq!(seen, [1000, 2000]);
    }

    #[test]
    fn slow_series_are_evaluated_once_a_sample_and_looked_back_at_far_enough() {
        let of = |step| {
            let Settings { interval, lookback } = Settings::of(&every(step));
            (interval.as_secs(), lookback.as_secs())
        };
        assert_eq!(of(0.1), (30, 300));
        assert_eq!(of(60.0), (30, 300));
        assert_eq!(of(120.0), (120, 300));
        assert_eq!(of(300.0), (300, 600));
        assert_eq!(of(3600.0), (3600, 7200));
    }
}
