//! Carries addresses of one process over to the address space of another that runs the same files.

use std::collections::HashMap;

use watchdog_core::profile::{Frame, Mapping};

use crate::addresses::{AddressMap, RELOCATED, RELOCATED_SPAN, UNADDRESSED, is_unaddressed};
use crate::symbols::{Symbols, mapping_of};

/// The way from the addresses of an earlier profile to those of a later one.
pub(super) struct Carry<'a> {
    before: &'a [Mapping],
    after: &'a [Mapping],
    /// Whether any file lies elsewhere; otherwise addresses stay what they are.
    moved: bool,
    /// Files that only the earlier profile has, where they lie now.
    orphans: Vec<(usize, Mapping)>,
    known: AddressMap<u64>,
    names: Option<Names<'a>>,
}

/// Names of both profiles, and those of the later one by what they say.
struct Names<'a> {
    before: &'a Symbols,
    by_frames: HashMap<&'a [Frame], u64>,
    symbols: Symbols,
    /// The last address taken by a location without one of its own.
    next: u64,
}

impl Names<'_> {
    /// Whether `frames` may be the names of an address of the later profile.
    fn fits(&self, frames: &[Frame], address: u64) -> bool {
        let there = self.symbols.frames(address);
        there.is_empty() || frames.is_empty() || there == frames
    }

    /// The later profile's address with these names.
    fn address(&self, frames: &[Frame]) -> Option<u64> {
        if frames.is_empty() { None } else { self.by_frames.get(frames).copied() }
    }

    /// An address that nothing else has, where `address` means something else in the later profile.
    fn place_of_its_own(&mut self, frames: &[Frame], address: u64) -> u64 {
        if !is_unaddressed(address) && self.fits(frames, address) {
            return address;
        }
        self.next += 1;
        self.next
    }
}

impl<'a> Carry<'a> {
    pub(super) fn new(before: &'a [Mapping], after: &'a [Mapping]) -> Self {
        let stays = |mapping: &Mapping| {
            after.iter().any(|later| {
                same_file(mapping, later)
                    && (later.start, later.file_offset) == (mapping.start, mapping.file_offset)
            })
        };
        // Without mappings on one side there is nothing to carry by.
        let moved = !after.is_empty() && !before.iter().all(stays);
        let orphans = if moved { orphans(before, after) } else { Vec::new() };
        Self { before, after, moved, orphans, known: AddressMap::default(), names: None }
    }

    pub(super) fn with_names(mut self, before: &'a Symbols, after: &'a Symbols) -> Self {
        let mut by_frames: HashMap<&[Frame], u64> = HashMap::with_capacity(after.len());
        let mut next = UNADDRESSED;
        for (address, frames) in after.iter() {
            // Several addresses may have the same names: the lowest is taken, so that it is always the same.
            let lowest = by_frames.entry(frames).or_insert(address);
            *lowest = address.min(*lowest);
            if is_unaddressed(address) {
                next = next.max(address);
            }
        }
        for (address, _) in before.iter().filter(|(address, _)| is_unaddressed(*address)) {
            next = next.max(address);
        }
        self.names = Some(Names { before, by_frames, symbols: after.clone(), next });
        self
    }

    /// Whether addresses may change at all.
    pub(super) fn is_needed(&self) -> bool {
        self.moved || self.names.is_some()
    }

    /// The address in the later profile's address space.
    pub(super) fn over(&mut self, address: u64) -> u64 {
        if let Some(known) = self.known.get(&address) {
            return *known;
        }
        let carried = self.find(address);
        self.known.insert(address, carried);
        carried
    }

    fn find(&mut self, address: u64) -> u64 {
        let by_file = if is_unaddressed(address) { None } else { self.by_file(address) };
        let by_orphan = self.by_orphan(address);
        let Some(names) = &mut self.names else {
            return by_file.or(by_orphan).unwrap_or(address);
        };
        let frames = names.before.frames(address);
        // Another build at the same path has other functions at its offsets.
        let by_file = by_file.filter(|there| names.fits(frames, *there));
        let carried = by_file.or_else(|| names.address(frames)).or(by_orphan);
        let carried = carried.unwrap_or_else(|| names.place_of_its_own(frames, address));
        if names.symbols.frames(carried).is_empty() && !frames.is_empty() {
            names.symbols.insert(carried, frames.to_vec());
        }
        carried
    }

    /// The same offset of the same file.
    fn by_file(&self, address: u64) -> Option<u64> {
        // The call decides: the last call of a file may return to just behind it.
        let call = address.checked_sub(1)?;
        let Some((_, mapping)) = mapping_of(self.before, call) else {
            return (!self.moved || mapping_of(self.after, call).is_none()).then_some(address);
        };
        if !self.moved {
            return Some(address);
        }
        let offset = (call - mapping.start).checked_add(mapping.file_offset)?;
        self.after.iter().filter(|later| same_file(mapping, later)).find_map(|later| {
            let inside = offset.checked_sub(later.file_offset)?;
            (inside < length(later)).then(|| later.start + inside + 1)
        })
    }

    /// The place to which a file was moved that the later profile does not have.
    fn by_orphan(&self, address: u64) -> Option<u64> {
        let call = address.checked_sub(1)?;
        let (at, mapping) = mapping_of(self.before, call)?;
        let (_, moved) = self.orphans.iter().find(|(orphan, _)| *orphan == at)?;
        let inside = call - mapping.start;
        (inside < length(moved)).then(|| moved.start + inside + 1)
    }

    /// The later profile's mappings and the files that were moved, by ascending start.
    pub(super) fn mappings(&self) -> Vec<Mapping> {
        let mut mappings = self.after.to_vec();
        if self.after.is_empty() {
            mappings = self.before.to_vec();
        }
        mappings.extend(self.orphans.iter().map(|(_, mapping)| mapping.clone()));
        mappings.sort_by_key(|mapping| mapping.start);
        mappings
    }

    pub(super) fn into_symbols(self) -> Symbols {
        self.names.map(|names| names.symbols).unwrap_or_default()
    }
}

/// Whether two mappings are of the same file, as far as can be told.
fn same_file(a: &Mapping, b: &Mapping) -> bool {
    match (&a.build_id, &b.build_id) {
        (Some(a), Some(b)) => a == b,
        _ => a.path == b.path,
    }
}

/// Mappings of files that the later profile does not have, each with its place in `before`, moved to where no
/// program can be: their addresses may mean something else now.
fn orphans(before: &[Mapping], after: &[Mapping]) -> Vec<(usize, Mapping)> {
    // Files that were moved when a profile was read lie in the same region.
    let region = RELOCATED..UNADDRESSED;
    let taken = after.iter().map(|mapping| mapping.end).filter(|end| region.contains(end)).max();
    let mut start = taken.map_or(RELOCATED, |end| end.next_multiple_of(RELOCATED_SPAN));
    let mut orphans = Vec::new();
    for (at, mapping) in before.iter().enumerate() {
        if after.iter().any(|later| covers(later, mapping)) || start >= UNADDRESSED {
            continue;
        }
        let end = start + length(mapping).min(RELOCATED_SPAN);
        orphans.push((at, Mapping { start, end, ..mapping.clone() }));
        start += RELOCATED_SPAN;
    }
    orphans
}

/// Whether all of `earlier` is also in `later`.
fn covers(later: &Mapping, earlier: &Mapping) -> bool {
    let end = |mapping: &Mapping| mapping.file_offset.saturating_add(length(mapping));
    same_file(later, earlier)
        && later.file_offset <= earlier.file_offset
        && end(earlier) <= end(later)
}

fn length(mapping: &Mapping) -> u64 {
    mapping.end.saturating_sub(mapping.start)
}
