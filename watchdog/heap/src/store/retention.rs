//! Which dumps go when the bounds are reached.

use std::collections::{HashMap, HashSet};

use super::{DumpMeta, StoreBounds};

/// How dear a dump is; the least dear goes first. A difference needs a first and a last profile, so the dumps
/// between them are the cheapest to lose.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    Between,
    EndOfOther,
    FirstOfThis,
}

/// Ids to remove from `dumps`, which are in the order they were stored. `written` is the one just stored; it stays.
pub(super) fn surplus(dumps: &[DumpMeta], written: &str, bounds: &StoreBounds) -> Vec<String> {
    let mut gone: HashSet<&str> = too_many(dumps, bounds.count_per_target);
    let mut total: u64 =
        dumps.iter().filter(|dump| !gone.contains(dump.id.as_str())).map(|dump| dump.bytes.0).sum();
    for dump in by_worth(dumps, written) {
        if total <= bounds.total_bytes.0 {
            break;
        }
        if gone.insert(&dump.id) {
            total -= dump.bytes.0;
        }
    }
    // Oldest first, as they came.
    dumps.iter().filter(|dump| gone.contains(dump.id.as_str())).map(|d| d.id.clone()).collect()
}

/// Per target, what exceeds the count: the oldest after the first.
fn too_many(dumps: &[DumpMeta], count: usize) -> HashSet<&str> {
    let mut by_target: HashMap<&str, Vec<&str>> = HashMap::new();
    for dump in dumps {
        by_target.entry(&dump.target).or_default().push(&dump.id);
    }
    let surplus = |ids: Vec<_>| {
        let excess = ids.len().saturating_sub(count);
        ids.into_iter().skip(1).take(excess)
    };
    by_target.into_values().flat_map(surplus).collect()
}

/// All dumps that may go, the least dear first, the oldest first among equals.
fn by_worth<'a>(dumps: &'a [DumpMeta], written: &str) -> Vec<&'a DumpMeta> {
    let this = dumps.iter().find(|dump| dump.id == written).map(|dump| dump.target.as_str());
    let mut ends: HashMap<&str, (&str, &str)> = HashMap::new();
    for dump in dumps {
        ends.entry(&dump.target).or_insert((&dump.id, &dump.id)).1 = &dump.id;
    }
    let worth = |dump: &DumpMeta| match ends.get(dump.target.as_str()) {
        Some((first, last)) if dump.id == *first || dump.id == *last => {
            if this == Some(&dump.target) { Worth::FirstOfThis } else { Worth::EndOfOther }
        }
        _ => Worth::Between,
    };
    let mut order: Vec<&DumpMeta> = dumps.iter().filter(|dump| dump.id != written).collect();
    order.sort_by_key(|dump| worth(dump));
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::NewDump;
    use watchdog_core::units::{Bytes, WallTime};
    use watchdog_core::verdict::Kind;

    /// `a`, `b` … stored in this order, 10 bytes each.
    fn dumps(targets: &str) -> Vec<DumpMeta> {
        let dump = |(at, target): (usize, char)| {
            let new = NewDump {
                target: target.into(),
                pid: 1,
                taken: WallTime(0.0),
                inuse_space: Bytes(0),
                used: None,
                limit: None,
                verdict: Kind::HeapLeak,
                reason: String::new(),
            };
            DumpMeta::new(&new, at as u64, Bytes(10))
        };
        targets.chars().enumerate().map(dump).collect()
    }

    fn gone(targets: &str, count_per_target: usize, total: u64) -> Vec<u64> {
        let dumps = dumps(targets);
        let written = &dumps.last().expect("a dump").id;
        let bounds = StoreBounds { count_per_target, total_bytes: Bytes(total) };
        surplus(&dumps, written, &bounds)
            .iter()
            .filter_map(|id| super::super::meta::sequence(id))
            .collect()
    }

    #[test]
    fn within_the_bounds_nothing_goes() {
        assert_eq!(gone("aaabb", 3, 50), [0_u64; 0]);
    }

    #[test]
    fn too_many_of_a_target_lose_the_oldest_after_the_first() {
        assert_eq!(gone("aaaaabb", 3, 1000), [1, 2]);
        assert_eq!(gone("aaaa", 2, 1000), [1, 2]);
    }

    #[test]
    fn too_many_bytes_lose_what_is_between_first_and_newest() {
        assert_eq!(gone("abaabbba", 9, 60), [2, 3]);
        assert_eq!(gone("abaabbba", 9, 40), [2, 3, 4, 5]);
    }

    #[test]
    fn other_targets_go_before_this_ones_first() {
        assert_eq!(gone("abcbca", 9, 40), [1, 2]);
        assert_eq!(gone("abcbca", 9, 20), [1, 2, 3, 4]);
    }

    #[test]
    fn the_dump_just_written_stays_at_any_price() {
        assert_eq!(gone("aab", 9, 10), [0, 1]);
        assert_eq!(gone("aa", 9, 1), [0]);
    }
}
