//! A file mapped as words that several processes may read and write at the same time.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64};

use memmap2::{MmapOptions, MmapRaw};

use crate::layout::word;

/// A shared mapping. Whoever can write to the file can change the words at any time, so they are only ever used as
/// atomics and nothing in them is believed.
pub(crate) struct Map(MmapRaw);

impl Map {
    /// Maps `bytes` of the file, all pages present, so that the allocator never waits for a page fault and the
    /// process's memory does not seem to grow while the table fills.
    pub(crate) fn of(file: &File, bytes: usize) -> io::Result<Self> {
        MmapOptions::new().len(bytes).populate().map_raw(file).map(Self)
    }

    pub(crate) fn words(&self) -> &[AtomicU64] {
        let (address, bytes) = (self.0.as_mut_ptr(), self.0.len());
        // SAFETY: `map_raw` gives a mapping of `bytes` that starts on a page, so on a multiple of eight, and lives as
        // long as `self` does. Every bit pattern is a valid u64, and `AtomicU64` has the layout of one (its
        // documentation). Other processes change the words meanwhile, which is what atomics permit. No other
        // reference to this memory exists but `wanted`, and its word is never used as 64 bits. Cutting the file
        // short would kill this process; only its own user can do that.
        #[allow(unsafe_code)]
        unsafe {
            std::slice::from_raw_parts(address.cast::<AtomicU64>(), bytes / size_of::<u64>())
        }
    }

    /// The futex by which the watchdog asks for statistics. `None` when the mapping is too short to hold it.
    pub(crate) fn wanted(&self) -> Option<&AtomicU32> {
        let offset = word::WANTED * size_of::<u64>();
        if self.0.len() < offset + size_of::<u64>() {
            return None;
        }
        // SAFETY: checked above to lie within the mapping, which starts on a page, so `offset` is aligned to four
        // bytes. All access to this word is by 32 bits, so no atomics of two sizes meet.
        #[allow(unsafe_code)]
        Some(unsafe { AtomicU32::from_ptr(self.0.as_mut_ptr().add(offset).cast::<u32>()) })
    }
}
