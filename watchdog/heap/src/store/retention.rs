//! Which dumps go when the bounds are reached.
//!
//! A ramp is one rise of memory: an incident, or the life of a process. What people need of it is where it began, where
//! it ended and how it went between, so of each ramp the first, the last and three between are kept, spread evenly
//! over its time. When that is still too much, the oldest ramps go before anything of a target's newest is touched.

use std::collections::{BTreeMap, HashSet};

use watchdog_core::units::WallTime;

use super::{DumpMeta, StoreBounds};

/// Most dumps of one ramp: first, last and three between.
const MAX_OF_RAMP: usize = 5;

/// Most dumps of all targets together, so that memory and the time to look through them are bounded as well.
pub(super) const MAX_DUMPS: usize = 1000;

/// How dear a dump is; the least dear goes first. The fields break ties, the earlier field first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    /// Of a ramp that is not its target's newest: the ramp that ended first, and of it what is between its ends.
    OldRamp { ended: u64, place: Place, sequence: u64 },
    /// Between the ends of its target's newest ramp: what leaves the smallest gap.
    Between { gap: u64, sequence: u64 },
    /// First or last of the newest ramp of another target.
    EndOfOther { sequence: u64 },
    /// First of the newest ramp of the target whose newest dump stays.
    FirstOfThis { sequence: u64 },
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Between,
    First,
    Last,
}

/// Ids to remove from `dumps`, which are in the order they were stored. `written` is the one just stored; it stays.
/// Ages are counted from `now`.
pub(super) fn surplus(
    dumps: &[&DumpMeta],
    written: Option<&str>,
    bounds: &StoreBounds,
    now: WallTime,
) -> Vec<String> {
    let mut all = Vec::with_capacity(dumps.len());
    for of_target in grouped(dumps, |dump| &dump.target).into_values() {
        let newest = of_target.last().map(|dump| dump.id.as_str());
        let ramps = grouped(&of_target, |dump| &dump.ramp).into_values();
        let mut of_target: Vec<_> = ramps.flat_map(thinned).collect();
        of_target.retain(|dump| Some(dump.id.as_str()) == newest || !is_old(dump, bounds, now));
        of_target.sort_by_key(|dump| dump.sequence());
        all.extend(fitted(of_target, newest, bounds.count_per_target, bounds.bytes_per_target.0));
    }
    all.sort_by_key(|dump| dump.sequence());
    let all = fitted(all, written, MAX_DUMPS, bounds.total_bytes.0);
    let stays: HashSet<&str> = all.iter().map(|dump| dump.id.as_str()).collect();
    dumps.iter().filter(|d| !stays.contains(d.id.as_str())).map(|d| d.id.clone()).collect()
}

fn grouped<'a, 'k, K: Ord>(
    dumps: &[&'a DumpMeta],
    key: impl Fn(&'a DumpMeta) -> &'k K,
) -> BTreeMap<&'k K, Vec<&'a DumpMeta>>
where
    'a: 'k,
{
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for dump in dumps {
        groups.entry(key(dump)).or_default().push(*dump);
    }
    groups
}

/// A ramp without what exceeds its count: of the dumps between its ends, again and again, the one whose neighbours are
/// closest to each other. So no gap that this makes is wider than half of the ramp, however the dumps came.
fn thinned(mut ramp: Vec<&DumpMeta>) -> Vec<&DumpMeta> {
    while ramp.len() > MAX_OF_RAMP {
        let between = ramp.windows(3).enumerate().min_by_key(|(_, three)| gap(three));
        // The first of three at `at` has the one between behind it.
        let Some((at, _)) = between else { break };
        ramp.remove(at + 1);
    }
    ramp
}

/// Seconds from the first of three dumps to the last, as bits, which for numbers not below zero have the same order. It
/// is zero where the wall clock was set back.
fn gap(three: &[&DumpMeta]) -> u64 {
    match three {
        [before, .., after] => (after.taken.0 - before.taken.0).max(0.0).to_bits(),
        _ => 0,
    }
}

/// A dump from the future is not old: the clock was set back since.
fn is_old(dump: &DumpMeta, bounds: &StoreBounds, now: WallTime) -> bool {
    bounds.max_age.is_some_and(|most| now.0 - dump.taken.0 > most.as_secs_f64())
}

/// As many of the dearest dumps as `count` and `bytes` allow, in the order they came.
fn fitted<'a>(
    mut dumps: Vec<&'a DumpMeta>,
    stays: Option<&str>,
    count: usize,
    bytes: u64,
) -> Vec<&'a DumpMeta> {
    let mut sum = dumps.iter().fold(0_u64, |sum, dump| sum.saturating_add(dump.bytes.0));
    while dumps.len() > count || sum > bytes {
        let Some(least) = least_dear(&dumps, stays) else { break };
        dumps.retain(|dump| dump.id != least.id);
        sum = dumps.iter().fold(0, |sum, dump| sum.saturating_add(dump.bytes.0));
    }
    dumps
}

fn least_dear<'a>(dumps: &[&'a DumpMeta], stays: Option<&str>) -> Option<&'a DumpMeta> {
    let this = dumps.iter().find(|dump| Some(dump.id.as_str()) == stays).map(|dump| &dump.target);
    let mut least: Option<(Worth, &DumpMeta)> = None;
    for (target, of_target) in grouped(dumps, |dump| &dump.target) {
        let newest = of_target.last().map(|dump| &dump.ramp);
        for (ramp, of_ramp) in grouped(&of_target, |dump| &dump.ramp) {
            let is_newest = newest == Some(ramp);
            for (at, dump) in of_ramp.iter().enumerate() {
                if Some(dump.id.as_str()) == stays {
                    continue;
                }
                let worth = worth(&of_ramp, at, is_newest, this == Some(target));
                if least.is_none_or(|(least, _)| worth < least) {
                    least = Some((worth, dump));
                }
            }
        }
    }
    least.map(|(_, dump)| dump)
}

/// What the dump at `at` of a ramp is worth.
fn worth(ramp: &[&DumpMeta], at: usize, is_newest: bool, is_this: bool) -> Worth {
    let sequence = ramp[at].sequence();
    let place = match at {
        0 => Place::First,
        _ if at + 1 == ramp.len() => Place::Last,
        _ => Place::Between,
    };
    if !is_newest {
        let ended = ramp.last().map_or(0, |dump| dump.sequence());
        return Worth::OldRamp { ended, place, sequence };
    }
    match place {
        Place::Between => Worth::Between { gap: gap(&ramp[at - 1..=at + 1]), sequence },
        _ if is_this => Worth::FirstOfThis { sequence },
        _ => Worth::EndOfOther { sequence },
    }
}

#[cfg(test)]
mod tests;
