//! How large the parts of a table are, and where each begins.

use std::ops::Range;

use crate::error::RecorderError;

/// Words of eight bytes in the header: one page.
pub(crate) const HEADER_WORDS: usize = 512;
/// Words of a stack's slot: one cache line, so that counting a sample touches one line of the stack table.
pub(crate) const STACK_WORDS: usize = 8;
/// Words of a live object's value: its size, and its stack with a sequence number.
pub(crate) const VALUE_WORDS: usize = 2;

/// How many stacks, frames and live objects a table has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Slots of the stack table, a power of two from 64 to 65 536. One of them collects what finds no other.
    pub stack_slots: usize,
    /// Frames of all stacks together, from 64 to 1 048 576.
    pub arena_words: usize,
    /// Sampled objects that may be alive at one time, a power of two from 64 to 1 048 576.
    pub live_slots: usize,
    /// Frames kept of one stack, from 1 to 256; outer ones beyond are cut off.
    pub max_depth: usize,
}

impl Default for Geometry {
    /// 4 MiB: eight thousand stacks of 32 frames on average, and at one sample per 512 KiB some 16 GiB of live
    /// memory at half load.
    fn default() -> Self {
        Self { stack_slots: 8 << 10, arena_words: 256 << 10, live_slots: 64 << 10, max_depth: 128 }
    }
}

/// Where each part lies, in words from the start of the file.
pub(crate) struct Parts {
    pub(crate) stacks: Range<usize>,
    pub(crate) arena: Range<usize>,
    pub(crate) keys: Range<usize>,
    pub(crate) values: Range<usize>,
}

impl Geometry {
    /// Whether every size is within its bounds.
    ///
    /// # Errors
    /// [`RecorderError::Geometry`] names the first size that is not.
    pub fn validate(&self) -> Result<(), RecorderError> {
        let power =
            |n: usize, low: usize, high: usize| n.is_power_of_two() && (low..=high).contains(&n);
        let wrong = |what, value, allowed| Err(RecorderError::Geometry { what, value, allowed });
        if !power(self.stack_slots, 64, 64 << 10) {
            return wrong("stack_slots", self.stack_slots, "a power of two from 64 to 65536");
        }
        if !(64..=1 << 20).contains(&self.arena_words) {
            return wrong("arena_words", self.arena_words, "64 to 1048576");
        }
        if !power(self.live_slots, 64, 1 << 20) {
            return wrong("live_slots", self.live_slots, "a power of two from 64 to 1048576");
        }
        if !(1..=256).contains(&self.max_depth) {
            return wrong("max_depth", self.max_depth, "1 to 256");
        }
        Ok(())
    }

    /// Bytes of the whole file.
    pub fn bytes(&self) -> usize {
        self.parts().values.end * size_of::<u64>()
    }

    pub(crate) fn parts(&self) -> Parts {
        let stacks = HEADER_WORDS..HEADER_WORDS + self.stack_slots * STACK_WORDS;
        // The keys begin on a cache line: a window over them is then whole lines.
        let arena = stacks.end..stacks.end + self.arena_words.next_multiple_of(8);
        let keys = arena.end..arena.end + self.live_slots;
        let values = keys.end..keys.end + self.live_slots * VALUE_WORDS;
        Parts { stacks, arena, keys, values }
    }
}

#[cfg(test)]
impl Geometry {
    /// The smallest table: it fills up, and Miri can run it.
    pub(crate) const SMALL: Self =
        Self { stack_slots: 64, arena_words: 256, live_slots: 64, max_depth: 8 };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_four_mebibytes_and_a_page() {
        let default = Geometry::default();
        default.validate().unwrap();
        assert_eq!(default.bytes(), (4 << 20) + 4096);
    }

    #[test]
    fn sizes_out_of_bounds_are_named() {
        let sound = Geometry::default();
        for (geometry, name) in [
            (Geometry { stack_slots: 100, ..sound }, "stack_slots"),
            (Geometry { stack_slots: 1 << 40, ..sound }, "stack_slots"),
            (Geometry { arena_words: 0, ..sound }, "arena_words"),
            (Geometry { live_slots: 3, ..sound }, "live_slots"),
            (Geometry { max_depth: 0, ..sound }, "max_depth"),
        ] {
            let error = geometry.validate().unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn no_parts_overlap() {
        for geometry in
            [Geometry::default(), Geometry::SMALL, Geometry { arena_words: 65, ..Geometry::SMALL }]
        {
            let parts = geometry.parts();
            assert_eq!(parts.stacks.start, HEADER_WORDS);
            assert_eq!(parts.stacks.end, parts.arena.start);
            assert!(parts.arena.len() >= geometry.arena_words);
            assert_eq!(parts.arena.end, parts.keys.start);
            assert_eq!(parts.keys.start % 8, 0);
            assert_eq!(parts.keys.end, parts.values.start);
        }
    }
}
