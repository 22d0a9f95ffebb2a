//! jemalloc's own heap dump, the text format `heap_v2`.
//!
//! ```text
//! heap_v2/524288                      <- mean bytes between two samples
//!   t*: 28106: 56637512 [0: 0]        <- totals: objects: bytes [the same, ever allocated]
//!   t0: 352: 16777344 [0: 0]          <- the same per thread
//! @ 0x55d0 0x55e8 0x7f21              <- one stack of return addresses, innermost first
//!   t*: 3: 1536 [0: 0]                <- what it holds: sampled objects, their bytes [the same, ever allocated]
//!   t0: 3: 1536 [0: 0]
//!
//! MAPPED_LIBRARIES:
//! 55d0-56f0 r-xp 00001000 08:01 42  /usr/bin/shop      <- a copy of /proc/self/maps
//! ```
//!
//! The counts are those of sampled allocations. An allocation of mean size `s` is sampled with the probability
//! `1 - exp(-s / period)`, so objects and bytes are divided by it: the correction `jeprof` makes for `heap_v2`
//! (`AdjustSamples`), which jemalloc 5.3 expects of its readers although it corrects internally
//! (`prof_do_unbias` writes the counts so that this formula gives back its own figures).

mod lines;
mod sampling;
mod stacks;
mod write;

use watchdog_core::profile::{Mapping, Profile};
use watchdog_core::units::{Bytes, WallTime};

use lines::{Lines, excerpt};
pub(crate) use sampling::sampled_objects;
pub use write::write;

/// Bounds on a dump, so that a hostile or broken one costs a bounded amount of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseLimits {
    /// Longest line in bytes. A stack of 1,000 frames takes 19 KB, a mapping at most a path of 4 KiB.
    pub max_line: usize,
    /// Most stacks. 100,000 of them with 42 frames are 67 MB of text and 40 MB here.
    pub max_stacks: usize,
    /// Most frames of one stack; jemalloc's own bound is 128 unless `prof_bt_max` raises it.
    pub max_depth: usize,
    /// Most mappings that are kept; a process has a few per library.
    pub max_mappings: usize,
}

impl Default for ParseLimits {
    fn default() -> Self {
        Self { max_line: 64 << 10, max_stacks: 100_000, max_depth: 1024, max_mappings: 4096 }
    }
}

/// Why a text is not a heap dump, and on which line that shows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("heap dump, line {line}: {fault}")]
pub struct ParseError {
    /// Line number, from one.
    pub line: u64,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a line of a heap dump.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not jemalloc's format at all.
    #[error(
        "expected `heap_v2/PERIOD`, found `{0}`; only jemalloc's own text (what prof.dump writes) is read"
    )]
    NotHeapV2(String),
    /// A line that has no place in the format.
    #[error("expected {expected}, found `{found}`")]
    Unexpected {
        /// What could stand here.
        expected: &'static str,
        /// The beginning of what stands here.
        found: String,
    },
    /// A line longer than the limit.
    #[error("longer than {0} bytes")]
    LineTooLong(usize),
    /// The text does not end with a line's end.
    #[error("the text ends in the middle of this line: the dump was cut short, take it again")]
    CutShort,
    /// A stack and no `t*:` line for it.
    #[error("a stack without its `t*:` line")]
    NoTotal,
    /// Counts that no allocator can have.
    #[error("{objects} objects cannot hold {bytes} bytes")]
    Impossible {
        /// Sampled objects.
        objects: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// More stacks than the limit.
    #[error("more than {0} stacks; raise lg_prof_sample so that fewer are sampled")]
    TooManyStacks(usize),
    /// More frames than the limit.
    #[error("a stack of more than {0} frames")]
    StackTooDeep(usize),
    /// More mappings than the limit.
    #[error("more than {0} executable mappings")]
    TooManyMappings(usize),
    /// Without mappings no address can be named.
    #[error(
        "the dump ends without an executable file under `MAPPED_LIBRARIES:`; it was cut short, or the process could not read its own /proc/self/maps"
    )]
    NoMappings,
}

/// Reads a heap dump. Equal stacks are merged into the first of them, stacks that hold nothing and never did are
/// left out, the rest stay in the order of the text. Lines per thread and anonymous or data mappings are passed over; bytes of a path that are not UTF-8
/// become U+FFFD, which costs the names of that one file.
///
/// # Errors
/// [`ParseError`] with the line on which the text stops being a complete dump within `limits`.
pub fn parse(text: &[u8], taken: WallTime, limits: &ParseLimits) -> Result<Profile, ParseError> {
    let mut lines = Lines::new(text, limits.max_line);
    let period = read_header(&mut lines)?;
    let stacks = stacks::read(&mut lines, period, limits)?;
    let mappings = read_mappings(&mut lines, limits)?;
    Ok(Profile { taken, stacks, mappings, sample_period: Bytes(period), lost_samples: 0 })
}

/// `heap_v2/524288`; a period of zero would mean that nothing is sampled.
fn read_header(lines: &mut Lines<'_>) -> Result<u64, ParseError> {
    let line = lines.next()?.unwrap_or_default();
    line.strip_prefix(b"heap_v2/")
        .and_then(lines::decimal)
        .filter(|period| *period > 0)
        .ok_or_else(|| lines.fault(Fault::NotHeapV2(excerpt(line))))
}

/// Everything after `MAPPED_LIBRARIES:`.
fn read_mappings(lines: &mut Lines<'_>, limits: &ParseLimits) -> Result<Vec<Mapping>, ParseError> {
    let mut mappings = Vec::new();
    while let Some(line) = lines.next()? {
        if line.is_empty() {
            continue;
        }
        let mapping = lines::mapping(line).ok_or_else(|| {
            lines.fault(Fault::Unexpected {
                expected: "a line of /proc/self/maps",
                found: excerpt(line),
            })
        })?;
        if mapping.is_some() && mappings.len() == limits.max_mappings {
            return Err(lines.fault(Fault::TooManyMappings(limits.max_mappings)));
        }
        mappings.extend(mapping);
    }
    if mappings.is_empty() {
        return Err(lines.fault(Fault::NoMappings));
    }
    mappings.sort_by_key(|mapping: &Mapping| mapping.start);
    Ok(mappings)
}
