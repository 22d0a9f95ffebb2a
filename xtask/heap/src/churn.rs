//! A loop that does nothing but allocate: what the allocator costs, without anything to hide it behind.

use std::hint::black_box;

/// Objects that are alive at a time.
const SLOTS: usize = 2048;
/// Sizes are spread evenly from the smallest; their mean is 1.1 KiB.
const SMALLEST: u64 = 64;
const SPREAD: u64 = 2176;

/// The loop's state.
pub(crate) struct Churn {
    slots: Vec<Vec<u8>>,
    random: u64,
}

impl Churn {
    /// A loop whose sizes and slots follow from the seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            slots: (0..SLOTS).map(|_| Vec::new()).collect(),
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        }
    }

    /// One allocation, and the end of the one that had its slot.
    #[inline(always)]
    pub(crate) fn step(&mut self) {
        // xorshift64 (Marsaglia 2003): nothing of the loop should cost as much as the allocator.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let size = SMALLEST + (self.random >> 40) % SPREAD;
        let slot = (self.random & (SLOTS as u64 - 1)) as usize;
        let mut object: Vec<u8> = Vec::with_capacity(size as usize);
        object.push(1);
        self.slots[slot] = black_box(object);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slots_fill_up_and_are_used_again() {
        let mut churn = Churn::new(1);
        (0..SLOTS * 20).for_each(|_| churn.step());
        let sizes: Vec<usize> = churn.slots.iter().map(Vec::capacity).collect();
        assert!(sizes.iter().all(|size| (64..2240).contains(size)));
        let mean = sizes.iter().sum::<usize>() / sizes.len();
        assert!((1000..1300).contains(&mean), "{mean}");
    }
}
