//! How much each stack grew over a series of profiles, how sure that is, and whether it still grows.
//!
//! Statistic: bytes in use at the last profile less those at the first, per raw stack. Not the size: a big cache that
//! was there from the start is no news. Not the slope of a fit either: between two profiles the objects that stay cancel
//! exactly, so the difference of the ends carries the least sampling error.
//!
//! The error of a difference: an allocation of size `s` is sampled with probability `p = 1 - exp(-s / period)`, and a
//! sampled one stands for `s / p` bytes. Of `n` sampled allocations that came or went, the sum has the variance
//! `n (s/p)² (1 - p)` (Horvitz and Thompson, for independent samples).

use std::collections::HashMap;

use crate::profile::{Profile, StackSample};
use crate::units::Bytes;

/// An even growth has half of its bytes in the later half of the time. A stack with less than this share of that there
/// has slowed down so much that it is a cache being filled rather than a leak.
const MIN_LATE: f64 = 0.25;
/// What a stack gave back between two profiles, as a share of what it took in all: more than this is work that comes and
/// goes.
const MAX_FALLS: f64 = 0.5;
/// Half of the normal distribution's central 90 %, in standard deviations.
const Z90: f64 = 1.645;

/// How much one stack grew over a series of profiles.
#[derive(Clone, Debug, PartialEq)]
pub struct Growth {
    /// Return addresses, innermost first.
    pub stack: Vec<u64>,
    /// Bytes held now and not at the first profile.
    pub bytes: Bytes,
    /// Sampled allocations that this growth rests on.
    pub samples: u64,
    /// Variance of `bytes` from the sampling, in bytes squared.
    pub variance: f64,
    /// Bytes in use at each profile.
    pub course: Vec<f64>,
}

/// Growth per stack from the first of `profiles` to the last, largest first. Stacks that shrank or stayed are left out.
/// The profiles are in the order of their time.
pub fn growth(profiles: &[&Profile]) -> Vec<Growth> {
    let (Some(first), Some(last)) = (profiles.first(), profiles.last()) else { return Vec::new() };
    let before = by_stack(first);
    let mut grown: Vec<Growth> = last
        .stacks
        .iter()
        .filter_map(|now| one(now, before.get(now.stack.as_slice()).copied(), last.sample_period))
        .collect();
    follow(&mut grown, profiles);
    grown.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.stack.cmp(&b.stack)));
    grown
}

fn by_stack(profile: &Profile) -> HashMap<&[u64], &StackSample> {
    profile.stacks.iter().map(|stack| (stack.stack.as_slice(), stack)).collect()
}

fn one(now: &StackSample, then: Option<&StackSample>, period: Bytes) -> Option<Growth> {
    let bytes = now.inuse_space - then.map_or(Bytes(0), |then| then.inuse_space);
    let samples = now.samples.saturating_sub(then.map_or(0, |then| then.samples));
    (bytes.0 > 0).then(|| Growth {
        stack: now.stack.clone(),
        bytes,
        samples,
        variance: variance(now, samples, period),
        course: Vec::new(),
    })
}

/// `n (s/p)² (1 - p)` with the stack's mean size.
fn variance(stack: &StackSample, samples: u64, period: Bytes) -> f64 {
    if stack.inuse_objects == 0 || stack.samples == 0 || period.0 == 0 {
        return 0.0;
    }
    let size = stack.inuse_space.as_f64() / stack.inuse_objects as f64;
    let missed = (-size / period.as_f64()).exp();
    let stands_for = stack.inuse_space.as_f64() / stack.samples as f64;
    samples as f64 * stands_for * stands_for * missed
}

/// Fills in the course of every stack that grew.
fn follow(grown: &mut [Growth], profiles: &[&Profile]) {
    for profile in profiles {
        let known = by_stack(profile);
        for growth in &mut *grown {
            let held = known.get(growth.stack.as_slice()).map_or(0.0, |s| s.inuse_space.as_f64());
            growth.course.push(held);
        }
    }
}

/// What a function's stacks did together over the profiles.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Course {
    /// Bytes in use at each profile.
    pub(super) held: Vec<f64>,
    /// Variance of the growth from first to last.
    pub(super) variance: f64,
}

impl Course {
    pub(super) fn of(growth: &Growth) -> Self {
        Self { held: growth.course.clone(), variance: growth.variance }
    }

    pub(super) fn add(&mut self, growth: &Growth) {
        self.held.iter_mut().zip(&growth.course).for_each(|(sum, held)| *sum += held);
        self.variance += growth.variance;
    }

    /// Whether it still grows and does not come and go, with the profiles taken at `times`.
    pub(super) fn is_leaking(&self, times: &[f64]) -> bool {
        let (Some(&first), Some(&last)) = (self.held.first(), self.held.last()) else {
            return false;
        };
        let grown = last - first;
        let falls: f64 = self.held.windows(2).map(|pair| (pair[0] - pair[1]).max(0.0)).sum();
        let noise = 2.0 * self.variance.sqrt();
        if falls > noise && falls > MAX_FALLS * (grown + falls) {
            return false;
        }
        self.later_half(times).is_none_or(|(grown_late, share_of_time)| {
            grown_late + noise * share_of_time.sqrt() >= MIN_LATE * grown * share_of_time
        })
    }

    /// Growth since the profile nearest to the middle of the time, and the share of the time since; `None` for two
    /// profiles.
    fn later_half(&self, times: &[f64]) -> Option<(f64, f64)> {
        let (start, end) = (*times.first()?, *times.last()?);
        let middle = f64::midpoint(start, end);
        let inner = 1..times.len().checked_sub(1)?;
        let at = inner.min_by(|a, b| {
            (times[*a] - middle).abs().total_cmp(&(times[*b] - middle).abs())
        })?;
        let share = if end > start { (end - times[at]) / (end - start) } else { 0.0 };
        Some((self.held.last()? - self.held.get(at)?, share))
    }

    /// Growth in bytes per second with its central 90 %: low, estimate, high. Over the profiles since the growth began:
    /// the first, which may be hours older, is left out when there are enough others.
    pub(super) fn rate(&self, times: &[f64]) -> (f64, f64, f64) {
        let from = usize::from(times.len() > 3);
        let (times, held) = (&times[from..], &self.held[from..]);
        let (Some(&t0), Some(&t1)) = (times.first(), times.last()) else { return (0.0, 0.0, 0.0) };
        let span = t1 - t0;
        if span <= 0.0 {
            return (0.0, 0.0, 0.0);
        }
        let rate = (held[held.len() - 1] - held[0]) / span;
        let steps = times.windows(2).zip(held.windows(2));
        let squares: f64 = steps
            .map(|(t, h)| {
                let share = (t[1] - t[0]) / span;
                // A clock that went back gives no rate; such a step says nothing of the scatter.
                if share <= 0.0 { 0.0 } else { ((h[1] - h[0]) / span - rate * share).powi(2) }
            })
            .sum();
        // The variance of a weighted mean from the scatter of its parts (Cochran), at least that of the sampling.
        let parts = (times.len() - 1) as f64;
        let scatter = if parts > 1.0 { squares * parts / (parts - 1.0) } else { 0.0 };
        let error = Z90 * scatter.max(self.variance / (span * span)).sqrt();
        (rate - error, rate, rate + error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(held: &[f64]) -> Course {
        Course { held: held.to_vec(), variance: 0.0 }
    }

    const TIMES: [f64; 5] = [0.0, 10.0, 20.0, 30.0, 40.0];

    #[test]
    fn an_even_growth_leaks_and_a_cache_that_fills_up_does_not() {
        assert!(course(&[0.0, 10.0, 20.0, 30.0, 40.0]).is_leaking(&TIMES));
        assert!(course(&[0.0, 0.0, 0.0, 10.0, 40.0]).is_leaking(&TIMES), "it began lately");
        assert!(!course(&[0.0, 25.0, 39.0, 40.0, 40.0]).is_leaking(&TIMES), "it is full");
    }

    #[test]
    fn what_comes_and_goes_does_not_leak() {
        assert!(!course(&[0.0, 90.0, 5.0, 95.0, 20.0]).is_leaking(&TIMES));
        assert!(course(&[0.0, 12.0, 11.0, 32.0, 40.0]).is_leaking(&TIMES), "a little given back");
    }

    #[test]
    fn the_rate_leaves_out_a_first_profile_of_long_ago() {
        let times = [0.0, 10_000.0, 10_010.0, 10_020.0];
        let (low, rate, high) = course(&[5.0, 5.0, 15.0, 25.0]).rate(&times);
        assert!((rate - 1.0).abs() < 1e-9, "{rate}");
        assert!(low <= rate && rate <= high);
        let (_, rate, _) = course(&[0.0, 10.0, 20.0]).rate(&[0.0, 5.0, 10.0]);
        assert!((rate - 2.0).abs() < 1e-9, "three are all needed");
    }

    #[test]
    fn the_interval_is_as_wide_as_the_growth_is_uneven() {
        let even = course(&[0.0, 0.0, 10.0, 20.0, 30.0]).rate(&TIMES);
        let uneven = course(&[0.0, 0.0, 2.0, 28.0, 30.0]).rate(&TIMES);
        assert!(even.2 - even.0 < 1e-9, "{even:?}");
        assert!(uneven.0 < 0.5 && uneven.2 > 1.5, "{uneven:?}");
        let sampled = Course { variance: 25.0, ..course(&[0.0, 0.0, 10.0, 20.0, 30.0]) };
        let (low, rate, high) = sampled.rate(&TIMES);
        assert!(low < rate && rate < high);
    }

    #[test]
    fn clocks_that_stand_or_go_back_give_no_rate_and_no_panic() {
        assert_eq!(course(&[0.0, 1.0]).rate(&[5.0, 5.0]), (0.0, 0.0, 0.0));
        assert_eq!(course(&[0.0, 1.0, 2.0]).rate(&[5.0, 4.0, 3.0]), (0.0, 0.0, 0.0));
        assert_eq!(course(&[]).rate(&[]), (0.0, 0.0, 0.0));
        let _ = course(&[0.0, 1.0, 2.0]).is_leaking(&[5.0, 4.0, 3.0]);
        assert!(!course(&[]).is_leaking(&[]));
    }

    #[test]
    fn the_sampling_error_is_that_of_independent_samples() {
        // 64 samples of 512 B: each stands for 524,544 B, so the error of the sum is 8 of them.
        let stack = StackSample {
            inuse_space: Bytes(64 * 524_544),
            inuse_objects: 64 * 1025,
            samples: 64,
            ..StackSample::default()
        };
        let sigma = variance(&stack, 64, Bytes(524_288)).sqrt();
        assert!((sigma / (8.0 * 524_544.0) - 1.0).abs() < 0.01, "{sigma}");
        // Objects much larger than the period are all sampled: no error.
        let large = StackSample {
            inuse_space: Bytes(64 << 24),
            inuse_objects: 64,
            samples: 64,
            ..StackSample::default()
        };
        assert!(variance(&large, 64, Bytes(524_288)).sqrt() < 64.0);
    }
}
