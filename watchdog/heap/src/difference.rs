//! What changed between two profiles, stack by stack.

mod carry;

use watchdog_core::profile::{Mapping, Profile, StackSample};
use watchdog_core::units::{Bytes, WallTime};

use crate::addresses::StackIndex;
use crate::symbols::Symbols;
use carry::Carry;

/// How the figures of one stack changed; negative where they shrank.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeltaSample {
    /// Return addresses in the address space of the later profile, innermost first.
    pub stack: Vec<u64>,
    /// Bytes in use, after minus before.
    pub inuse_space: i64,
    /// Objects in use, after minus before.
    pub inuse_objects: i64,
    /// Bytes ever allocated, after minus before.
    pub alloc_space: i64,
    /// Objects ever allocated, after minus before.
    pub alloc_objects: i64,
}

/// The difference of two profiles of the same process, or of two processes of the same program.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Difference {
    /// When the earlier profile was taken.
    pub before: WallTime,
    /// When the later profile was taken.
    pub after: WallTime,
    /// Stacks whose figures changed, the largest growth in use first.
    pub stacks: Vec<DeltaSample>,
    /// The later profile's mappings, and those that only the earlier one had, moved to where nothing else is.
    pub mappings: Vec<Mapping>,
    /// Mean bytes between two samples in the later profile.
    pub sample_period: Bytes,
}

impl Difference {
    /// After minus before. Addresses are compared as they are where both profiles have the same files at the same
    /// places. Elsewhere – another process of the program, which the kernel put somewhere else – the earlier
    /// addresses are carried over to the same file and offset. Files are the same by build id where both have one,
    /// by path otherwise.
    pub fn between(before: &Profile, after: &Profile) -> Self {
        let mut carry = Carry::new(&before.mappings, &after.mappings);
        Self::carried(before, after, &mut carry)
    }

    /// As [`Self::between`] for profiles that brought their names, and the names that fit the difference. What
    /// cannot be carried over by file – a location without an address, another build of the program – is carried
    /// over to the address with the same functions and lines.
    pub fn between_named(
        before: &Profile,
        before_symbols: &Symbols,
        after: &Profile,
        after_symbols: &Symbols,
    ) -> (Self, Symbols) {
        let mut carry =
            Carry::new(&before.mappings, &after.mappings).with_names(before_symbols, after_symbols);
        let difference = Self::carried(before, after, &mut carry);
        (difference, carry.into_symbols())
    }

    fn carried(before: &Profile, after: &Profile, carry: &mut Carry<'_>) -> Self {
        let mut rows = Rows::default();
        for sample in &after.stacks {
            rows.add(&sample.stack, sample, 1);
        }
        let mut stack = Vec::new();
        for sample in &before.stacks {
            if carry.is_needed() {
                stack.clear();
                stack.extend(sample.stack.iter().map(|address| carry.over(*address)));
                rows.add(&stack, sample, -1);
            } else {
                rows.add(&sample.stack, sample, -1);
            }
        }
        let mut stacks = rows.changed();
        stacks
            .sort_by(|a, b| b.inuse_space.cmp(&a.inuse_space).then_with(|| a.stack.cmp(&b.stack)));
        Self {
            before: before.taken,
            after: after.taken,
            stacks,
            mappings: carry.mappings(),
            sample_period: after.sample_period,
        }
    }

    /// Growth less shrinkage in bytes in use, over all stacks.
    pub fn inuse_space(&self) -> i64 {
        self.stacks.iter().fold(0, |sum, row| sum.saturating_add(row.inuse_space))
    }
}

/// Rows with distinct stacks. The stacks are copied only for rows that are in the result.
#[derive(Default)]
struct Rows {
    rows: Vec<DeltaSample>,
    index: StackIndex,
}

impl Rows {
    fn add(&mut self, stack: &[u64], sample: &StackSample, sign: i64) {
        let Ok(next) = u32::try_from(self.rows.len()) else { return };
        let rows = &self.rows;
        let known = self
            .index
            .find_or_enter(stack, next, |at| rows.get(at as usize).map(|row| row.stack.as_slice()));
        if known.is_none() {
            self.rows.push(DeltaSample { stack: stack.to_vec(), ..DeltaSample::default() });
        }
        let Some(row) = self.rows.get_mut(known.unwrap_or(next) as usize) else { return };
        let add = |sum: &mut i64, value: u64| {
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            *sum = sum.saturating_add(value.saturating_mul(sign));
        };
        add(&mut row.inuse_space, sample.inuse_space.0);
        add(&mut row.inuse_objects, sample.inuse_objects);
        add(&mut row.alloc_space, sample.alloc_space.0);
        add(&mut row.alloc_objects, sample.alloc_objects);
    }

    fn changed(self) -> Vec<DeltaSample> {
        let mut rows = self.rows;
        rows.retain(|row| {
            row.inuse_space != 0
                || row.inuse_objects != 0
                || row.alloc_space != 0
                || row.alloc_objects != 0
        });
        rows
    }
}
