//! What kind of growth it is, from which line of the account grew with it.
//!
//! The leak signal is split as the kernel and the allocator see it: live allocations, what the allocator holds beyond
//! them, anonymous memory beyond the allocator, shared memory. Whichever carries most of the growth is the kind.

use crate::history::{History, Row};
use crate::sample::Sample;
use crate::trend::Trend;
use crate::units::{Bytes, Moment, span};
use crate::verdict::{Kind, Verdict};

/// One part must carry this share of the growth to give it its name; a mixture is undecided.
const DOMINANT: f64 = 0.6;
/// Share of the window over which its two ends are averaged.
const QUARTER: f64 = 0.25;
/// File pages that grew by this share of the limit are worth a word.
const NOTABLE: f64 = 0.05;

/// The kind of a growth that `trend` has found.
pub(super) fn of_growth(sample: &Sample, history: &History, trend: &Trend) -> Verdict {
    let account = Account::of(history, sample.at, trend.window);
    let head = format!(
        "Memory grew by {} in {} ({})",
        Bytes((trend.slope.0 * trend.window).max(0.0) as u64),
        span(trend.window),
        trend.slope
    );
    account.map_or_else(Verdict::default, |account| account.verdict(&head))
}

/// Growth that the load explains.
pub(super) fn by_load(trend: &Trend) -> Verdict {
    Verdict {
        kind: Kind::Load,
        sentence: format!(
            "Memory grew with the load ({} over {}); the load explains it. Not a leak.",
            trend.slope,
            span(trend.window)
        ),
    }
}

/// Nothing grows that counts against the limit; file pages may.
pub(super) fn without_growth(sample: &Sample, history: &History, trend: &Trend) -> Verdict {
    let limit = sample.limit.unwrap_or(sample.memory.rss);
    let began = history.between(Moment(sample.at.0 - trend.window), sample.at).next();
    let file = began.map_or(Bytes(0), |then| sample.memory.file - then.file);
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

/// How each line of the account grew, in bytes: the difference of its means over the first and the last quarter of the
/// window. Means, because one row may be a burst's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Account {
    shmem: f64,
    /// All that counts except shared memory.
    anon: f64,
    allocator: Option<AllocatorGrowth>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct AllocatorGrowth {
    allocated: f64,
    /// Resident beyond allocated: dirty pages and the holes in used ones.
    held: f64,
    /// Anonymous memory beyond the allocator's resident pages.
    outside: f64,
}

/// Sums over one part of the window.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    rows: f64,
    shmem: f64,
    anon: f64,
    readings: f64,
    allocated: f64,
    resident: f64,
    /// Anonymous memory in the rows that carry a reading.
    beside: f64,
}

impl Sums {
    fn add(&mut self, row: &Row) {
        let (shmem, anon) = (row.shmem.as_f64(), (row.unreclaimable - row.shmem).as_f64());
        self.rows += 1.0;
        self.shmem += shmem;
        self.anon += anon;
        if let Some(allocator) = row.allocator {
            self.readings += 1.0;
            self.allocated += allocator.allocated.as_f64();
            self.resident += allocator.resident.as_f64();
            self.beside += anon;
        }
    }
}

impl Account {
    fn of(history: &History, now: Moment, window: f64) -> Option<Self> {
        let began = now.0 - window;
        let (mut first, mut last) = (Sums::default(), Sums::default());
        for row in history.between(Moment(began), now) {
            if row.at.0 < began + window * QUARTER {
                first.add(&row);
            } else if row.at.0 > now.0 - window * QUARTER {
                last.add(&row);
            }
        }
        if first.rows == 0.0 || last.rows == 0.0 {
            return None;
        }
        let grown = |part: fn(&Sums) -> f64, rows: fn(&Sums) -> f64| {
            part(&last) / rows(&last) - part(&first) / rows(&first)
        };
        let allocator = (first.readings > 0.0 && last.readings > 0.0).then(|| {
            let allocated = grown(|s| s.allocated, |s| s.readings);
            let resident = grown(|s| s.resident, |s| s.readings);
            let beside = grown(|s| s.beside, |s| s.readings);
            AllocatorGrowth { allocated, held: resident - allocated, outside: beside - resident }
        });
        Some(Self {
            shmem: grown(|s| s.shmem, |s| s.rows),
            anon: grown(|s| s.anon, |s| s.rows),
            allocator,
        })
    }

    fn verdict(&self, head: &str) -> Verdict {
        let bytes = |part: f64| Bytes(part.max(0.0) as u64);
        if self.shmem > 0.0 && self.shmem / (self.shmem + self.anon.max(0.0)) >= DOMINANT {
            return Verdict {
                kind: Kind::Tmpfs,
                sentence: format!(
                    "{head}; {} of it is shared memory or files on tmpfs, which only deleting them frees.",
                    bytes(self.shmem)
                ),
            };
        }
        let Some(growth) = self.allocator else {
            return Verdict {
                kind: Kind::Undecided,
                sentence: format!(
                    "{head}; the allocator's statistics are missing, so the kind of growth is not known."
                ),
            };
        };
        let total = growth.allocated.max(0.0) + growth.held.max(0.0) + growth.outside.max(0.0);
        let dominant = |part: f64| total > 0.0 && part / total >= DOMINANT;
        let (kind, tail) = if dominant(growth.allocated) {
            (
                Kind::HeapLeak,
                "live allocations grow with it: a leak, or a cache without a bound.".to_owned(),
            )
        } else if dominant(growth.held) {
            (
                Kind::Fragmentation,
                format!(
                    "the allocator holds {} more than the program uses: fragmentation or slow decay; \
                     background_thread:true and a shorter dirty_decay_ms help.",
                    bytes(growth.held)
                ),
            )
        } else if dominant(growth.outside) {
            (
                Kind::OffHeap,
                format!(
                    "{} of it is outside the allocator: memory maps, thread stacks or another allocator.",
                    bytes(growth.outside)
                ),
            )
        } else {
            (Kind::Undecided, "no single part of the account carries the growth.".to_owned())
        };
        Verdict { kind, sentence: format!("{head}; {tail}") }
    }
}
