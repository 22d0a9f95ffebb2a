//! Tables keyed by addresses and by stacks, and the addresses that no program can have.
//!
//! A profile of 100,000 stacks asks such a table four million times, which is why the hash is two multiplications
//! instead of SipHash. It starts from a random seed per table, so nobody can prepare addresses that collide.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::{BuildHasher, Hasher};

/// A map from addresses.
pub(crate) type AddressMap<V> = HashMap<u64, V, Seeded>;

/// Locations without an address of their own get one from here on. The top byte makes it an address that neither
/// x86-64 (48 or 57 bits) nor arm64 gives to user code.
pub(crate) const UNADDRESSED: u64 = 0x7fff_0000_0000_0000;

/// Files whose place in memory is taken by another file are moved here, each [`RELOCATED_SPAN`] apart.
pub(crate) const RELOCATED: u64 = 0x7e00_0000_0000_0000;

/// Room for one file that was moved.
pub(crate) const RELOCATED_SPAN: u64 = 1 << 40;

/// Whether an address only stands for a name.
pub(crate) fn is_unaddressed(address: u64) -> bool {
    address >> 48 == UNADDRESSED >> 48
}

/// Starts hashes from a seed of its own.
#[derive(Clone, Debug)]
pub(crate) struct Seeded {
    seed: u64,
}

impl Default for Seeded {
    fn default() -> Self {
        Self { seed: RandomState::new().hash_one(UNADDRESSED) }
    }
}

impl BuildHasher for Seeded {
    type Hasher = AddressHasher;

    fn build_hasher(&self) -> AddressHasher {
        AddressHasher { state: self.seed }
    }
}

/// Folds 64-bit words into a state.
#[derive(Debug)]
pub(crate) struct AddressHasher {
    state: u64,
}

impl Hasher for AddressHasher {
    fn write_u64(&mut self, word: u64) {
        self.state = folded(self.state ^ word);
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn finish(&self) -> u64 {
        folded(self.state)
    }
}

/// Both halves of a product of 128 bits, so that every bit of the word reaches every part of the result.
/// The factor is 2^64 divided by the golden ratio, which is odd and has no pattern.
fn folded(word: u64) -> u64 {
    let product = u128::from(word) * 0x9e37_79b9_7f4a_7c15;
    (product as u64) ^ ((product >> 64) as u64)
}

/// Finds stacks that were seen before among those that somebody else keeps.
#[derive(Debug, Default)]
pub(crate) struct StackIndex {
    seeded: Seeded,
    at: AddressMap<u32>,
}

impl StackIndex {
    fn key(&self, stack: &[u64]) -> u64 {
        let mut hasher = self.seeded.build_hasher();
        stack.iter().for_each(|address| hasher.write_u64(*address));
        hasher.write_u64(stack.len() as u64);
        hasher.finish()
    }

    /// Where a stack equal to `stack` was first entered, or `None` when it is new and now entered as `next`.
    /// `stack_at` gives back the stacks entered before.
    pub(crate) fn find_or_enter<'a>(
        &mut self,
        stack: &[u64],
        next: u32,
        stack_at: impl Fn(u32) -> Option<&'a [u64]>,
    ) -> Option<u32> {
        let mut key = self.key(stack);
        loop {
            match self.at.entry(key) {
                Entry::Vacant(entry) => {
                    entry.insert(next);
                    return None;
                }
                Entry::Occupied(entry) if stack_at(*entry.get()) == Some(stack) => {
                    return Some(*entry.get());
                }
                // Another stack with the same hash: the next key is as good.
                Entry::Occupied(_) => key = key.wrapping_add(1),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_is_found_again_and_a_longer_one_is_another() {
        let stacks: Vec<Vec<u64>> =
            (0..1000_u64).map(|n| (0..n % 7).map(|depth| n / 7 + depth).collect()).collect();
        let mut index = StackIndex::default();
        let stack_at = |at: u32| stacks.get(at as usize).map(Vec::as_slice);
        for (n, stack) in stacks.iter().enumerate() {
            let first = stacks.iter().position(|other| other == stack).expect("itself");
            let found = index.find_or_enter(stack, n as u32, stack_at);
            assert_eq!(found, (first < n).then_some(first as u32), "{n}");
        }
    }
}
