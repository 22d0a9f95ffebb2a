//! What kind of growth it is, from which line of the account grew with it.
//!
//! The leak signal is split as the kernel and the allocator see it: live allocations, what the allocator holds beyond
//! them, anonymous memory beyond the allocator, shared memory. Whichever carries most of the growth is the kind.

use crate::history::History;
use crate::sample::Sample;
use crate::trend::Trend;
use crate::units::{Bytes, Moment, span};
use crate::verdict::{Kind, Verdict};

/// One part must carry this share of the growth to give it its name; a mixture is undecided.
const DOMINANT: f64 = 0.6;
/// File pages that grew by this share of the limit are worth a word.
const NOTABLE: f64 = 0.05;

/// The kind of a growth that `trend` has found.
pub(super) fn of_growth(sample: &Sample, history: &History, trend: &Trend) -> Verdict {
    let began = Moment(sample.at.0 - trend.window);
    let Some(then) = history.row_at(began) else {
        return Verdict::default();
    };
    let grown = sample.memory.unreclaimable() - then.unreclaimable;
    let over = span(trend.window);
    let head = format!("Memory grew by {grown} in {over} ({})", trend.slope);
    let shmem = sample.memory.shmem - then.shmem;
    if shmem.fraction_of(grown) >= DOMINANT {
        return Verdict {
            kind: Kind::Tmpfs,
            sentence: format!(
                "{head}; {shmem} of it is shared memory or files on tmpfs, which only deleting them frees."
            ),
        };
    }
    allocator_growth(sample, history, began).map_or_else(
        || Verdict {
            kind: Kind::Undecided,
            sentence: format!(
                "{head}; the allocator's statistics are missing, so the kind of growth is not known."
            ),
        },
        |growth| growth.verdict(&head),
    )
}

/// Nothing grows that counts against the limit; file pages may.
pub(super) fn without_growth(sample: &Sample, history: &History, trend: &Trend) -> Verdict {
    let limit = sample.limit.unwrap_or(sample.memory.rss);
    let file = history
        .row_at(Moment(sample.at.0 - trend.window))
        .map_or(Bytes(0), |then| sample.memory.file - then.file);
    if file.fraction_of(limit) >= NOTABLE {
        return Verdict {
            kind: Kind::PageCache,
            sentence: format!(
                "File pages grew by {file}; the kernel drops them when memory is needed. Not a leak."
            ),
        };
    }
    Verdict {
        kind: Kind::Steady,
        sentence: format!("No growth that matters in the last {}.", span(trend.window)),
    }
}

/// How the three parts grew between two allocator readings, in bytes.
struct AllocatorGrowth {
    allocated: f64,
    held: f64,
    outside: f64,
}

fn allocator_growth(sample: &Sample, history: &History, began: Moment) -> Option<AllocatorGrowth> {
    let last = history.allocator_at(sample.at)?;
    let first = history.allocator_at(began)?;
    let (now, then) = (last.allocator?, first.allocator?);
    if last.at <= first.at {
        return None;
    }
    let delta = |now: Bytes, then: Bytes| now.as_f64() - then.as_f64();
    let allocated = delta(now.allocated, then.allocated);
    let resident = delta(now.resident, then.resident);
    let anon = delta(last.unreclaimable - last.shmem, first.unreclaimable - first.shmem);
    Some(AllocatorGrowth { allocated, held: resident - allocated, outside: anon - resident })
}

impl AllocatorGrowth {
    fn verdict(&self, head: &str) -> Verdict {
        let total = self.allocated.max(0.0) + self.held.max(0.0) + self.outside.max(0.0);
        let dominant = |part: f64| total > 0.0 && part / total >= DOMINANT;
        let bytes = |part: f64| Bytes(part.max(0.0) as u64);
        let (kind, tail) = if dominant(self.allocated) {
            (
                Kind::HeapLeak,
                "live allocations grow with it: a leak, or a cache without a bound.".to_owned(),
            )
        } else if dominant(self.held) {
            (
                Kind::Fragmentation,
                format!(
                    "the allocator holds {} more than the program uses: fragmentation or slow decay; \
                     background_thread:true and a shorter dirty_decay_ms help.",
                    bytes(self.held)
                ),
            )
        } else if dominant(self.outside) {
            (
                Kind::OffHeap,
                format!(
                    "{} of it is outside the allocator: memory maps, thread stacks or another allocator.",
                    bytes(self.outside)
                ),
            )
        } else {
            (Kind::Undecided, "no single part of the account carries the growth.".to_owned())
        };
        Verdict { kind, sentence: format!("{head}; {tail}") }
    }
}
