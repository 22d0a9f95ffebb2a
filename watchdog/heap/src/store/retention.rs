//! Which dumps go when the bounds are reached.
//!
//! A ramp is one rise of memory: an incident, or the life of a process. What people need of it is where it began, where
//! it ended and how it went between, so of each ramp the first, the last and three between are kept, spread evenly
//! over its time. When that is still too much, the oldest ramps go before anything of a target's newest is touched.

use std::collections::{BTreeMap, BTreeSet};

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
    OldRamp { ended: usize, place: Place, sequence: usize },
    /// Between the ends of its target's newest ramp: what leaves the smallest gap.
    Between { gap: u64, sequence: usize },
    /// First or last of the newest ramp of another target.
    EndOfOther { sequence: usize },
    /// First of the newest ramp of the target whose newest dump stays.
    FirstOfThis { sequence: usize },
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Between,
    First,
    Last,
}

/// A dump and its place in the order in which all were stored.
#[derive(Clone, Copy)]
struct Entry<'a> {
    at: usize,
    dump: &'a DumpMeta,
}

/// What must go of `dumps`, which are in the order they were stored. `written` is the one just stored; it stays. Ages
/// are counted from `now`.
pub(super) fn surplus<'a>(
    dumps: &'a [DumpMeta],
    written: Option<&str>,
    bounds: &StoreBounds,
    now: WallTime,
) -> Vec<&'a DumpMeta> {
    let written = dumps.iter().position(|dump| Some(dump.id.as_str()) == written);
    // A dump that bounds which were narrowed leave no room for must not take others with it.
    let most = bounds.total_bytes.min(bounds.bytes_per_target);
    let entries = dumps.iter().enumerate().map(|(at, dump)| Entry { at, dump });
    let fits = |entry: &Entry<'_>| entry.dump.bytes <= most || Some(entry.at) == written;
    let entries: Vec<_> = entries.filter(fits).collect();
    let mut stays = Vec::with_capacity(entries.len());
    for of_target in grouped(&entries, |dump| &dump.target).into_values() {
        let newest = of_target.last().map(|entry| entry.at);
        let ramps = grouped(&of_target, |dump| &dump.ramp).into_values();
        let mut of_target: Vec<_> = ramps.flat_map(thinned).collect();
        of_target.retain(|entry| Some(entry.at) == newest || !is_old(entry.dump, bounds, now));
        of_target.sort_by_key(|entry| entry.at);
        stays.extend(fitted(of_target, newest, bounds.count_per_target, bounds.bytes_per_target.0));
    }
    stays.sort_by_key(|entry| entry.at);
    let stays = fitted(stays, written, MAX_DUMPS, bounds.total_bytes.0);
    let stays: BTreeSet<usize> = stays.iter().map(|entry| entry.at).collect();
    dumps.iter().enumerate().filter(|(at, _)| !stays.contains(at)).map(|(_, dump)| dump).collect()
}

fn grouped<'a>(
    entries: &[Entry<'a>],
    key: impl Fn(&'a DumpMeta) -> &'a String,
) -> BTreeMap<&'a str, Vec<Entry<'a>>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for entry in entries {
        groups.entry(key(entry.dump).as_str()).or_default().push(*entry);
    }
    groups
}

/// A ramp without what exceeds its count: of the dumps between its ends, again and again, the one whose neighbours are
/// closest to each other. So no gap that this makes is wider than half of the ramp, however the dumps came.
fn thinned(mut ramp: Vec<Entry<'_>>) -> Vec<Entry<'_>> {
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
fn gap(three: &[Entry<'_>]) -> u64 {
    match three {
        [before, .., after] => (after.dump.taken.0 - before.dump.taken.0).max(0.0).to_bits(),
        _ => 0,
    }
}

/// A dump from the future is not old: the clock was set back since.
fn is_old(dump: &DumpMeta, bounds: &StoreBounds, now: WallTime) -> bool {
    bounds.max_age.is_some_and(|most| now.0 - dump.taken.0 > most.as_secs_f64())
}

/// As many of the dearest dumps as `count` and `bytes` allow, in the order they came; the one at `stays` always.
fn fitted(
    mut entries: Vec<Entry<'_>>,
    stays: Option<usize>,
    count: usize,
    bytes: u64,
) -> Vec<Entry<'_>> {
    let size = |entries: &[Entry<'_>]| {
        entries.iter().fold(0_u64, |sum, entry| sum.saturating_add(entry.dump.bytes.0))
    };
    while entries.len() > count || size(&entries) > bytes {
        let Some(least) = least_dear(&entries, stays) else { break };
        entries.retain(|entry| entry.at != least);
    }
    entries
}

fn least_dear(entries: &[Entry<'_>], stays: Option<usize>) -> Option<usize> {
    let mut least: Option<(Worth, usize)> = None;
    for of_target in grouped(entries, |dump| &dump.target).into_values() {
        let newest = of_target.last().map(|entry| entry.dump.ramp.as_str());
        let is_this = of_target.iter().any(|entry| Some(entry.at) == stays);
        for (ramp, of_ramp) in grouped(&of_target, |dump| &dump.ramp) {
            for (place, entry) in of_ramp.iter().enumerate() {
                let worth = worth(&of_ramp, place, newest == Some(ramp), is_this);
                if Some(entry.at) != stays && least.is_none_or(|(least, _)| worth < least) {
                    least = Some((worth, entry.at));
                }
            }
        }
    }
    least.map(|(_, at)| at)
}

/// What the dump at a place of a ramp is worth.
fn worth(ramp: &[Entry<'_>], place: usize, is_newest: bool, is_this: bool) -> Worth {
    let sequence = ramp[place].at;
    let end = match place {
        0 => Place::First,
        _ if place + 1 == ramp.len() => Place::Last,
        _ => Place::Between,
    };
    if !is_newest {
        let ended = ramp[ramp.len() - 1].at;
        return Worth::OldRamp { ended, place: end, sequence };
    }
    match end {
        Place::Between => Worth::Between { gap: gap(&ramp[place - 1..=place + 1]), sequence },
        _ if is_this => Worth::FirstOfThis { sequence },
        _ => Worth::EndOfOther { sequence },
    }
}

#[cfg(test)]
mod tests;
