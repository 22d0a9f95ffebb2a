//! Reads pprof's format within bounds.

use watchdog_core::profile::{Frame, Mapping, Profile};
use watchdog_core::units::{Bytes, WallTime};

use super::error::{Missing, PprofError};
use super::inflate::{gunzip, is_gzip};
use super::message::{RawLocation, Tables};
use super::samples::{Columns, Samples};
use crate::addresses::{AddressMap, RELOCATED, RELOCATED_SPAN, UNADDRESSED, is_unaddressed};
use crate::symbols::Symbols;

/// Bounds on a profile, so that a hostile or broken one costs a bounded amount of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimits {
    /// Most bytes after decompression. 100,000 stacks of 42 frames are 11 MB.
    pub max_bytes: usize,
    /// Most samples.
    pub max_samples: usize,
    /// Most frames of one stack.
    pub max_depth: usize,
    /// Most frames of all stacks together; each takes eight bytes here and one on the wire.
    pub max_frames: usize,
    /// Most locations, and a quarter of the lines they may have.
    pub max_locations: usize,
    /// Most functions.
    pub max_functions: usize,
    /// Most texts.
    pub max_strings: usize,
    /// Most mappings.
    pub max_mappings: usize,
    /// Most labels of all samples together.
    pub max_labels: usize,
    /// Most bytes of names, paths, labels and comments, counted each time one is used.
    pub max_text: usize,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self {
            max_bytes: 128 << 20,
            max_samples: 500_000,
            max_depth: 4096,
            max_frames: 16 << 20,
            max_locations: 500_000,
            max_functions: 500_000,
            max_strings: 1_000_000,
            max_mappings: 4096,
            max_labels: 1_000_000,
            max_text: 128 << 20,
        }
    }
}

/// A profile that was read, with the names it brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Read {
    /// The stacks and what they hold.
    pub profile: Profile,
    /// Names of addresses; none when the profile was not symbolized.
    pub symbols: Symbols,
    /// Comments of whoever wrote the profile.
    pub comments: Vec<String>,
    /// Locations without an address of their own: they have names but no place in a file.
    pub unaddressed: u64,
}

/// Reads a heap profile in pprof's format, compressed or not: whatever has `inuse_space` or `alloc_space` in bytes,
/// as Go's profiles, those of this crate, of Parca and of Pyroscope do. `space` and `objects` are taken for what is in
/// use. Samples with the same stack are one, their labels are kept apart in it. The time is zero when the profile
/// does not have one.
///
/// # Errors
/// [`PprofError`] when the bytes are not such a profile within `limits`.
pub fn read(bytes: &[u8], limits: &ReadLimits) -> Result<Read, PprofError> {
    if is_gzip(bytes) {
        return read_plain(&gunzip(bytes, limits.max_bytes)?, limits);
    }
    if bytes.len() > limits.max_bytes {
        return Err(PprofError::TooLarge(limits.max_bytes));
    }
    read_plain(bytes, limits)
}

fn read_plain(bytes: &[u8], limits: &ReadLimits) -> Result<Read, PprofError> {
    let tables = Tables::read(bytes, limits)?;
    let columns = Columns::find(&tables)?;
    let mut texts = Texts { tables: &tables, left: limits.max_text, limit: limits.max_text };
    let space = Space::new(&tables, &mut texts)?;
    let mut places = Places::default();
    for (id, location) in &tables.locations {
        places.add(*id, location, &space, &mut texts)?;
    }
    let period = period(&tables)?;
    let mut samples = Samples::new(columns, period, &places.by_id, limits);
    samples.read(bytes, &mut texts)?;
    let comments = tables.comments.iter().map(|index| texts.owned("a comment", *index));
    let comments = comments.collect::<Result<_, _>>()?;
    Ok(Read {
        profile: Profile {
            taken: seconds(tables.time_nanos as i64),
            stacks: samples.merged,
            mappings: space.mappings,
            sample_period: Bytes(period),
            lost_samples: 0,
        },
        symbols: places.symbols,
        comments,
        unaddressed: places.unaddressed,
    })
}

/// The whole seconds by themselves, so that the fraction loses nothing to them.
fn seconds(nanoseconds: i64) -> WallTime {
    let fraction = nanoseconds.rem_euclid(1_000_000_000) as f64 / 1e9;
    WallTime(nanoseconds.div_euclid(1_000_000_000) as f64 + fraction)
}

/// Mean bytes between two samples, or zero when the period counts something else.
fn period(tables: &Tables<'_>) -> Result<u64, PprofError> {
    let unit = tables.text("the type of the period", tables.period_type.unit)?;
    Ok(if unit == b"bytes" && tables.period <= i64::MAX as u64 { tables.period } else { 0 })
}

/// Makes owned texts, and stops when they are too much: one long text may be used a million times.
pub(super) struct Texts<'a> {
    pub(super) tables: &'a Tables<'a>,
    left: usize,
    limit: usize,
}

impl Texts<'_> {
    pub(super) fn owned(&mut self, by: &'static str, index: u64) -> Result<String, PprofError> {
        let text = self.tables.text(by, index)?;
        self.left = self
            .left
            .checked_sub(text.len())
            .ok_or(PprofError::TooMany { what: "bytes of names and labels", limit: self.limit })?;
        Ok(String::from_utf8_lossy(text).into_owned())
    }
}

/// Where the files of a profile lie. Those whose ranges overlap – some writers put every file at zero – are moved
/// apart, so that an address alone tells the file.
struct Space {
    mappings: Vec<Mapping>,
    /// By id: where the file begins in the profile and here, and its length.
    moved: AddressMap<(u64, u64, u64)>,
}

impl Space {
    fn new(tables: &Tables<'_>, texts: &mut Texts<'_>) -> Result<Self, PprofError> {
        let mut sorted: Vec<_> = tables.mappings.iter().collect();
        sorted.sort_by_key(|mapping| (mapping.start, mapping.end));
        let mut space = Self { mappings: Vec::new(), moved: AddressMap::default() };
        let mut free = 0;
        let mut next = RELOCATED;
        for raw in sorted {
            let mut length = raw.end.saturating_sub(raw.start);
            let mut start = raw.start;
            if length > 0 && (start < free || raw.end > RELOCATED) {
                length = length.min(RELOCATED_SPAN);
                start = next;
                next += RELOCATED_SPAN;
            } else {
                free = raw.end.max(free);
            }
            space.moved.insert(raw.id, (raw.start, start, length));
            let build_id = texts.owned("a mapping", raw.build_id)?;
            let mapping = Mapping {
                start,
                end: start + length,
                file_offset: raw.file_offset,
                path: texts.owned("a mapping", raw.path)?,
                build_id: (!build_id.is_empty()).then(|| build_id.to_ascii_lowercase()),
            };
            // Go writes an empty one when it does not know its own mappings.
            space.mappings.extend((length > 0).then_some(mapping));
        }
        space.mappings.sort_by_key(|mapping| mapping.start);
        Ok(space)
    }

    /// The address of the call here, or `None` when the location has none that only it can have.
    fn place(&self, location: &RawLocation) -> Result<Option<u64>, PprofError> {
        let RawLocation { mapping, address, .. } = location;
        if *address == 0 {
            return Ok(None);
        }
        if *mapping == 0 {
            return Ok(Some(*address));
        }
        let by = "a location";
        let moved = self.moved.get(mapping);
        let (from, to, length) = *moved.ok_or(Missing { by, what: "the mapping", id: *mapping })?;
        if from == to {
            return Ok(Some(*address));
        }
        Ok(address.checked_sub(from).filter(|offset| *offset < length).map(|offset| to + offset))
    }
}

/// The return address of every location, and its names.
#[derive(Default)]
struct Places<'a> {
    by_id: AddressMap<u64>,
    taken: AddressMap<&'a RawLocation>,
    symbols: Symbols,
    unaddressed: u64,
}

impl<'a> Places<'a> {
    fn add(
        &mut self,
        id: u64,
        location: &'a RawLocation,
        space: &Space,
        texts: &mut Texts<'_>,
    ) -> Result<(), PprofError> {
        let returns_to = space.place(location)?.and_then(|call| call.checked_add(1));
        let free = returns_to.filter(|address| {
            // The same address again with the same names is the same place.
            !is_unaddressed(*address)
                && self.taken.get(address).is_none_or(|other| other.lines == location.lines)
        });
        let address = free.unwrap_or_else(|| {
            self.unaddressed += 1;
            UNADDRESSED + self.unaddressed
        });
        if self.by_id.insert(id, address).is_some() {
            return Err(PprofError::Duplicate { what: "location", id });
        }
        if self.taken.insert(address, location).is_none() && !location.lines.is_empty() {
            let lines = location.lines.iter();
            let frames = lines.map(|(function, line)| self.frame(*function, *line, texts));
            let frames = frames.collect::<Result<Vec<_>, _>>()?;
            self.symbols.insert(address, frames);
        }
        Ok(())
    }

    fn frame(&self, id: u64, line: u64, texts: &mut Texts<'_>) -> Result<Frame, PprofError> {
        let by = "a line";
        let function = texts.tables.functions.get(&id);
        let function = function.ok_or(Missing { by, what: "the function", id })?;
        let name = if function.name == 0 { function.system_name } else { function.name };
        let name = texts.owned("a function", name)?;
        let file = texts.owned("a function", function.file)?;
        Ok(Frame {
            function: if name.is_empty() { "(unknown)".to_owned() } else { name },
            file: (!file.is_empty()).then_some(file),
            line: u32::try_from(line).ok().filter(|line| *line > 0),
        })
    }
}
