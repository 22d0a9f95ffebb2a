//! The live table: which sampled objects are alive, and which stack each belongs to.
//!
//! An object lies anywhere in a window of [`WINDOW`] slots that its address chooses. A lookup looks at the whole
//! window, so slots are given back without leaving a mark.
//!
//! One address may be in the table more than once for a moment. jemalloc's `prof_realloc` (5.3.1, `prof_inlines.h`)
//! tells of the new object before it tells of the end of the old one, and in place both have the same address; when
//! the object moved, another thread may already have got the old block and been sampled. Whoever tells of an end
//! therefore takes, of the entries with this address and this size, the oldest. When two threads race for two such
//! entries, each gets one of them, and in the end the counts are right whichever it was.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::geometry::VALUE_WORDS;

/// Four cache lines of keys. At half load, a window is full less than once in ten thousand times.
const WINDOW: usize = 32;
/// A window begins on a cache line.
const LINE: usize = 8;

const EMPTY: u64 = 0;
/// Taken by a thread that is writing the values.
const BUSY: u64 = 1;

/// How often a lookup begins anew when others change what it looks at. Each time somebody else got on, so this is
/// never reached in practice; it is the bound.
const LOOKS: usize = 64;

/// The keys, and for each key a size and a tag: sequence number and stack, never zero while the entry is taken.
pub(super) struct Live<'a> {
    pub(super) keys: &'a [AtomicU64],
    pub(super) values: &'a [AtomicU64],
    pub(super) sequence: &'a AtomicU64,
}

struct Entry<'a> {
    key: &'a AtomicU64,
    usable: &'a AtomicU64,
    tag: &'a AtomicU64,
}

enum Look {
    Taken(u32),
    Nothing,
    /// Somebody else was faster.
    Lost,
}

impl<'a> Live<'a> {
    /// The slots in which an address may be.
    fn window(&self, pointer: u64) -> impl Iterator<Item = Entry<'a>> {
        // The number of slots is a power of two, checked when the geometry was.
        let mask = self.keys.len().wrapping_sub(1);
        // The upper half of a product with the golden ratio spreads addresses that differ in their upper bits only,
        // as those of sampled objects do: each begins a page.
        let start = (pointer.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize * LINE;
        let (keys, values) = (self.keys, self.values);
        (0..WINDOW).filter_map(move |step| {
            let index = start.wrapping_add(step) & mask;
            let value = values.get(index * VALUE_WORDS..)?;
            Some(Entry { key: keys.get(index)?, usable: value.first()?, tag: value.get(1)? })
        })
    }

    /// Puts an object into its window; false when that is full.
    pub(super) fn insert(&self, pointer: u64, usable: u64, stack: u32) -> bool {
        if pointer <= BUSY {
            return false;
        }
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        for entry in self.window(pointer) {
            if entry.key.load(Ordering::Relaxed) != EMPTY {
                continue;
            }
            // Acquire: what is written below comes after the taking of the entry that was here before.
            if entry.key.compare_exchange(EMPTY, BUSY, Ordering::Acquire, Ordering::Relaxed).is_ok()
            {
                entry.usable.store(usable, Ordering::Relaxed);
                // Whoever sees the tag sees the size, and the key as it is from now on.
                entry.tag.store(tag(sequence, stack), Ordering::Release);
                entry.key.store(pointer, Ordering::Release);
                return true;
            }
        }
        false
    }

    /// Takes an object out and gives its stack. `None` when it is not there.
    pub(super) fn take(&self, pointer: u64, usable: u64) -> Option<u32> {
        if pointer <= BUSY {
            return None;
        }
        let mut nothing = 0;
        for _ in 0..LOOKS {
            match self.look(pointer, usable) {
                Look::Taken(stack) => return Some(stack),
                Look::Lost => nothing = 0,
                // One look may pass a slot before our entry is put there by a thread that then takes the other entry
                // with this address, the one still ahead of us. Having seen that one gone, the second look sees ours.
                Look::Nothing if nothing == 0 => nothing = 1,
                Look::Nothing => return None,
            }
        }
        None
    }

    fn look(&self, pointer: u64, usable: u64) -> Look {
        let mut oldest: Option<(u64, Entry<'a>)> = None;
        let mut lost = false;
        for entry in self.window(pointer) {
            if entry.key.load(Ordering::Acquire) != pointer {
                continue;
            }
            let tag = entry.tag.load(Ordering::Acquire);
            let same_size = entry.usable.load(Ordering::Relaxed) == usable;
            // The key once more: only behind the tag does it tell whose tag that is. A tag is never used twice, so
            // if the exchange below finds it unchanged, address and size are those read here.
            if tag == 0 || entry.key.load(Ordering::Relaxed) != pointer {
                lost = true;
                continue;
            }
            if same_size && oldest.as_ref().is_none_or(|(other, _)| older(tag, *other)) {
                oldest = Some((tag, entry));
            }
        }
        let Some((tag, entry)) = oldest else {
            return if lost { Look::Lost } else { Look::Nothing };
        };
        match entry.tag.compare_exchange(tag, 0, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => {
                entry.key.store(EMPTY, Ordering::Release);
                Look::Taken(stack_of(tag))
            }
            Err(_) => Look::Lost,
        }
    }
}

/// The lower half is the stack and one, so that no tag is zero; the upper half the sequence number, which goes round.
fn tag(sequence: u64, stack: u32) -> u64 {
    (sequence << 32) | u64::from(stack.wrapping_add(1))
}

fn stack_of(tag: u64) -> u32 {
    (tag as u32).wrapping_sub(1)
}

/// By sequence number, which goes round: the shorter way tells which is the older.
fn older(a: u64, b: u64) -> bool {
    let (a, b) = ((a >> 32) as u32, (b >> 32) as u32);
    a.wrapping_sub(b).cast_signed() < 0
}
