//! The table as the writer uses it: counting samples and their end, without waiting for anybody.
//!
//! Any number of threads call [`Table::record`] and [`Table::free`] at the same time, from within the allocator.
//! Nothing here allocates, locks, panics or loops without a bound, and no index read from the shared words is used
//! unchecked.

mod live;
mod stacks;

use std::sync::atomic::{AtomicU64, Ordering};

use crate::geometry::{Geometry, HEADER_WORDS};
use crate::layout::word;
use crate::weight::Weight;
use live::Live;
use stacks::Stacks;
pub(crate) use stacks::{Meta, slot};

/// A view of shared words as a table of known sizes.
pub(crate) struct Table<'a> {
    header: &'a [AtomicU64],
    stacks: Stacks<'a>,
    live: Live<'a>,
}

impl<'a> Table<'a> {
    /// `None` when there are fewer words than the geometry needs.
    pub(crate) fn of(words: &'a [AtomicU64], geometry: &Geometry) -> Option<Self> {
        let parts = geometry.parts();
        let header = words.get(..HEADER_WORDS)?;
        Some(Self {
            header,
            stacks: Stacks {
                slots: words.get(parts.stacks)?,
                arena: words.get(parts.arena)?.get(..geometry.arena_words)?,
                used: header.get(word::ARENA_USED)?,
                max_depth: geometry.max_depth,
            },
            live: Live {
                keys: words.get(parts.keys)?,
                values: words.get(parts.values)?,
                sequence: header.get(word::SEQUENCE)?,
            },
        })
    }

    /// Unbiased bytes in use, over all stacks.
    pub(crate) fn inuse_bytes(&self) -> u64 {
        self.stacks.inuse_bytes()
    }

    /// Counts an object that was sampled: its address, its usable size in bytes, and where it was allocated,
    /// innermost frame first. `period` is the mean number of bytes between samples.
    pub(crate) fn record(&self, pointer: u64, usable: u64, frames: &[usize], period: f64) {
        let weight = Weight::of(usable, period);
        if frames.len() > self.stacks.max_depth {
            self.drop_counted(word::TRUNCATED, 1);
        }
        let stack = self.stacks.find_or_add(frames).unwrap_or_else(|| {
            self.drop_counted(word::STACKS_FULL, 1);
            stacks::CATCH_ALL
        });
        self.stacks.count(stack, slot::ALLOCATED, &weight);
        if !self.live.insert(pointer, usable, stack) {
            // Its end will not be known. Counting it as freed at once keeps what is in use from growing for ever.
            self.drop_counted(word::LIVE_FULL, 1);
            self.drop_counted(word::LIVE_FULL_BYTES, weight.bytes);
            self.stacks.count(stack, slot::FREED, &weight);
        }
    }

    /// Counts the end of an object that was sampled. What is not known – it was allocated before recording began, or
    /// found no room – changes nothing.
    pub(crate) fn free(&self, pointer: u64, usable: u64, period: f64) {
        if let Some(stack) = self.live.take(pointer, usable) {
            self.stacks.count(stack, slot::FREED, &Weight::of(usable, period));
        }
    }

    fn drop_counted(&self, index: usize, by: u64) {
        if let Some(counter) = self.header.get(index) {
            counter.fetch_add(by, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
