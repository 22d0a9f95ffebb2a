//! How much each stack grew over a series of profiles, how sure that is, and whether it still grows.
//!
//! Statistic: bytes in use at the last profile less those at the first, per raw stack. Not the size: a big cache that
//! was there from the start is no news. Not the slope of a fit either: between two profiles the objects that stay cancel
//! exactly, so the difference of the ends carries the least sampling error.
//!
//! The error of a difference: an allocation of size `s` is sampled with probability `p = 1 - exp(-s / period)`, and a
//! sampled one stands for `s / p` bytes. Of `n` sampled allocations that came or went, the sum has the variance
//! `n (s/p)² (1 - p)` (Horvitz and Thompson, for independent samples).

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::profile::{Profile, StackSample};
use crate::units::{Bytes, WallTime};

/// An even growth has half of its bytes in the later half of the time. A stack with less than this share of that there
/// has slowed down so much that it is a cache being filled rather than a leak.
const MIN_LATE: f64 = 0.25;
/// What a stack gave back between two profiles, as a share of what it took in all: more than this is work that comes and
/// goes.
const MAX_FALLS: f64 = 0.5;
/// Up to this share of a growth, it has not begun yet.
const LEAD_IN: f64 = 0.1;
/// Half of the normal distribution's central 90 %, in standard deviations.
const Z90: f64 = 1.645;

/// What of an earlier profile is kept for comparison: 24 bytes a stack instead of the stack.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Digest {
    /// When the profile was taken.
    pub taken: WallTime,
    /// By ascending hash.
    held: Vec<Held>,
}

/// What one stack held.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Held {
    /// Of the stack. 64 bits tell the stacks of one process apart: among 100,000 a collision has a chance of 1 in 4·10⁹.
    hash: u64,
    bytes: u64,
    samples: u64,
}

impl Digest {
    /// The digest of a profile. Equal stacks, as labels may make them, are summed.
    pub fn of(profile: &Profile) -> Self {
        let held = |stack: &StackSample| Held {
            hash: hash(&stack.stack),
            bytes: stack.inuse_space.0,
            samples: stack.samples,
        };
        let mut held: Vec<Held> = profile.stacks.iter().map(held).collect();
        held.sort_unstable_by_key(|held| held.hash);
        held.dedup_by(|next, kept| {
            let same = next.hash == kept.hash;
            if same {
                kept.bytes = kept.bytes.saturating_add(next.bytes);
                kept.samples = kept.samples.saturating_add(next.samples);
            }
            same
        });
        held.shrink_to_fit();
        Self { taken: profile.taken, held }
    }

    fn get(&self, hash: u64) -> Option<&Held> {
        let at = self.held.binary_search_by_key(&hash, |held| held.hash).ok()?;
        self.held.get(at)
    }
}

/// The standard library's hash with its fixed keys: the same in every run of one version.
fn hash(stack: &[u64]) -> u64 {
    let mut hasher = DefaultHasher::new();
    stack.hash(&mut hasher);
    hasher.finish()
}

/// How much one stack grew over a series of profiles.
#[derive(Clone, Debug, PartialEq)]
pub struct Growth<'a> {
    /// Return addresses, innermost first.
    pub stack: &'a [u64],
    /// Bytes held now and not at the first profile.
    pub bytes: Bytes,
    /// Sampled allocations that this growth rests on.
    pub samples: u64,
    /// Variance of `bytes` from the sampling, in bytes squared.
    pub variance: f64,
    /// Bytes in use at each profile.
    pub course: Vec<f64>,
}

/// Growth per stack from the first of the `earlier` profiles to the `last`, largest first. Stacks that shrank or stayed
/// are left out. The earlier ones are in the order of their time.
pub fn growth<'a>(earlier: &[&Digest], last: &'a Profile) -> Vec<Growth<'a>> {
    let now = Digest::of(last);
    let mut stacks: Vec<(u64, &StackSample)> =
        last.stacks.iter().map(|stack| (hash(&stack.stack), stack)).collect();
    stacks.sort_unstable_by_key(|(hash, _)| *hash);
    stacks.dedup_by_key(|(hash, _)| *hash);
    let mut grown: Vec<Growth<'_>> = now
        .held
        .iter()
        .zip(&stacks)
        .filter_map(|(held, (_, stack))| one(earlier, held, stack, last.sample_period))
        .collect();
    grown.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.stack.cmp(b.stack)));
    grown
}

fn one<'a>(
    earlier: &[&Digest],
    now: &Held,
    stack: &'a StackSample,
    period: Bytes,
) -> Option<Growth<'a>> {
    let then = earlier.first().and_then(|first| first.get(now.hash));
    let bytes = now.bytes.saturating_sub(then.map_or(0, |then| then.bytes));
    if bytes == 0 {
        return None;
    }
    let samples = now.samples.saturating_sub(then.map_or(0, |then| then.samples));
    let held = |digest: &&Digest| digest.get(now.hash).map_or(0.0, |held| held.bytes as f64);
    Some(Growth {
        stack: &stack.stack,
        bytes: Bytes(bytes),
        samples,
        variance: variance(stack, samples, period),
        course: earlier.iter().map(held).chain([now.bytes as f64]).collect(),
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

/// What a function's stacks did together over the profiles.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Course {
    /// Bytes in use at each profile.
    pub(super) held: Vec<f64>,
    /// Variance of the growth from first to last.
    pub(super) variance: f64,
}

impl Course {
    pub(super) fn of(growth: &Growth<'_>) -> Self {
        Self { held: growth.course.clone(), variance: growth.variance }
    }

    pub(super) fn add(&mut self, growth: &Growth<'_>) {
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
        let (least, ..) = self.rate(times);
        if least <= 0.0 {
            return false;
        }
        self.later_half(times).is_none_or(|(grown_late, share_of_time)| {
            grown_late + noise * share_of_time.sqrt() >= MIN_LATE * grown * share_of_time
        })
    }

    /// The last profile before the growth began, but so that three are left.
    fn began(&self) -> usize {
        let (Some(first), Some(last)) = (self.held.first(), self.held.last()) else { return 0 };
        let small = first + LEAD_IN * (last - first);
        let before = self.held.iter().take(self.held.len().saturating_sub(2));
        before.enumerate().take_while(|(_, held)| **held <= small).last().map_or(0, |(at, _)| at)
    }

    /// Growth since the profile nearest to the middle of the time, and the share of the time since; `None` for two
    /// profiles.
    fn later_half(&self, times: &[f64]) -> Option<(f64, f64)> {
        let (start, end) = (*times.first()?, *times.last()?);
        let middle = f64::midpoint(start, end);
        let inner = 1..times.len().checked_sub(1)?;
        let at = inner
            .min_by(|a, b| (times[*a] - middle).abs().total_cmp(&(times[*b] - middle).abs()))?;
        let share = if end > start { (end - times[at]) / (end - start) } else { 0.0 };
        Some((self.held.last()? - self.held.get(at)?, share))
    }

    /// Growth in bytes per second with its central 90 %: low, estimate, high. Over the profiles since the growth began:
    /// those before may be hours older.
    pub(super) fn rate(&self, times: &[f64]) -> (f64, f64, f64) {
        let from = self.began();
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
    fn equal_stacks_of_a_profile_are_one() {
        let stack = |mib| StackSample {
            stack: vec![1, 2],
            inuse_space: Bytes::from_mib(mib),
            samples: mib,
            ..StackSample::default()
        };
        let first = Profile { stacks: vec![stack(1), stack(2)], ..Profile::default() };
        let last = Profile { stacks: vec![stack(4), stack(6)], ..Profile::default() };
        let grown = growth(&[&Digest::of(&first)], &last);
        let [grown] = grown.as_slice() else { panic!("{grown:?}") };
        assert_eq!((grown.bytes, grown.samples), (Bytes::from_mib(7), 7));
        assert_eq!(grown.course, [3.0 * 1_048_576.0, 10.0 * 1_048_576.0]);
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
