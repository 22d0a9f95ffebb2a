//! The stack table: open addressing by a hash of the frames, which is a stack's identity.
//!
//! Slots are taken and never given back. So a lookup ends at the first empty slot, two threads that add the same
//! stack meet at the same slot, and a slot's number means the same stack for as long as the process lives.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::geometry::STACK_WORDS;
use crate::weight::Weight;

/// The words of a slot. What was freed stands before what was allocated: whoever copies a slot from its start sees no
/// more freed than allocated, because every object is counted as allocated first.
pub(crate) mod slot {
    pub(crate) const HASH: usize = 0;
    pub(crate) const META: usize = 1;
    /// Samples, bytes, parts of objects.
    pub(crate) const FREED: usize = 2;
    /// Samples, bytes, parts of objects.
    pub(crate) const ALLOCATED: usize = 5;
}

/// The slot that collects samples of stacks that found no slot of their own.
pub(super) const CATCH_ALL: u32 = 0;

/// How many slots are looked at. At nine tenths full, a chain is longer than this about once in a thousand.
const PROBES: usize = 64;

/// Where a stack's frames are: complete once it is not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) offset: usize,
    pub(crate) depth: usize,
}

impl Meta {
    const WRITTEN: u64 = 1 << 63;

    fn to_word(self) -> u64 {
        Self::WRITTEN | ((self.offset as u64) << 16) | self.depth as u64
    }

    /// `None` while the frames are not written. What comes out may lie outside of the arena.
    pub(crate) fn from_word(word: u64) -> Option<Self> {
        let value = word & !Self::WRITTEN;
        (value != word).then_some(Self {
            offset: usize::try_from(value >> 16).unwrap_or(usize::MAX),
            depth: usize::try_from(value & 0xffff).unwrap_or(usize::MAX),
        })
    }
}

/// The slots and the frames.
pub(super) struct Stacks<'a> {
    pub(super) slots: &'a [AtomicU64],
    pub(super) arena: &'a [AtomicU64],
    pub(super) used: &'a AtomicU64,
    pub(super) max_depth: usize,
}

impl Stacks<'_> {
    /// Unbiased bytes in use, over all stacks.
    pub(super) fn inuse_bytes(&self) -> u64 {
        let load = |word: Option<&AtomicU64>| word.map_or(0, |word| word.load(Ordering::Relaxed));
        self.slots.chunks(STACK_WORDS).fold(0_u64, |sum, words| {
            let freed = load(words.get(slot::FREED + 1));
            sum.saturating_add(load(words.get(slot::ALLOCATED + 1)).saturating_sub(freed))
        })
    }

    /// The slot of a stack, added if it is new. `None` when there is no room for it.
    pub(super) fn find_or_add(&self, frames: &[usize]) -> Option<u32> {
        let frames = frames.get(..self.max_depth).unwrap_or(frames);
        let hash = hash(frames);
        // A power of two, checked when the geometry was.
        let mask = (self.slots.len() / STACK_WORDS).checked_sub(1)?;
        let home = (hash >> 32) as usize;
        let mut written = None;
        for probe in 0..PROBES {
            let index = home.wrapping_add(probe) & mask;
            if index == CATCH_ALL as usize {
                continue;
            }
            let at = self.slots.get(index * STACK_WORDS + slot::HASH)?;
            let mut found = at.load(Ordering::Relaxed);
            if found == 0 {
                let meta = match written {
                    Some(meta) => meta,
                    None => *written.insert(self.write(frames)?),
                };
                // No order is needed here: the hash guards nothing, `META` guards the frames.
                match at.compare_exchange(0, hash, Ordering::Relaxed, Ordering::Relaxed) {
                    Ok(_) => {
                        let at = self.slots.get(index * STACK_WORDS + slot::META)?;
                        // Whoever sees this word sees the frames.
                        at.store(meta.to_word(), Ordering::Release);
                        found = hash;
                    }
                    Err(other) => found = other,
                }
            }
            if found == hash {
                return u32::try_from(index).ok();
            }
        }
        None
    }

    /// Puts the frames into the arena. When another thread adds the same stack at the same moment, one copy is
    /// wasted; that is rare and bounded by the arena.
    fn write(&self, frames: &[usize]) -> Option<Meta> {
        let room = self.arena.len() as u64;
        let reserve = |used: u64| used.checked_add(frames.len() as u64).filter(|end| *end <= room);
        let offset = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, reserve).ok()?;
        let offset = usize::try_from(offset).ok()?;
        for (word, frame) in self.arena.get(offset..)?.iter().zip(frames) {
            word.store(*frame as u64, Ordering::Relaxed);
        }
        Some(Meta { offset, depth: frames.len() })
    }

    /// Adds a sample to one side of a slot, [`slot::FREED`] or [`slot::ALLOCATED`].
    pub(super) fn count(&self, stack: u32, side: usize, weight: &Weight) {
        let start = (stack as usize).saturating_mul(STACK_WORDS).saturating_add(side);
        if let Some([samples, bytes, objects, ..]) = self.slots.get(start..) {
            samples.fetch_add(1, Ordering::Relaxed);
            bytes.fetch_add(weight.bytes, Ordering::Relaxed);
            objects.fetch_add(weight.objects, Ordering::Relaxed);
        }
    }
}

/// Two frames at a time, each step the folded product of wyhash (Wang Yi, final version 4): a few nanoseconds for
/// forty frames, and 64 bits that mix well enough for two stacks of a full table to be taken for one another once in
/// 10^11 programs.
fn hash(frames: &[usize]) -> u64 {
    const SECRET: [u64; 3] = [0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db, 0x8ebc_6af0_9c88_c6e3];
    let fold = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        (product as u64) ^ (product >> 64) as u64
    };
    let mut state = SECRET[2];
    let (pairs, rest) = frames.as_chunks::<2>();
    for [first, second] in pairs {
        state = fold(*first as u64 ^ SECRET[0], *second as u64 ^ state);
    }
    for frame in rest {
        state = fold(*frame as u64 ^ SECRET[1], state);
    }
    // Zero marks an empty slot.
    fold(state ^ SECRET[0], frames.len() as u64 ^ SECRET[1]).max(1)
}
