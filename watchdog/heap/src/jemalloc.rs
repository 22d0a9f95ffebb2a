//! jemalloc's own heap dump, the text format `heap_v2`.
//!
//! ```text
//! heap_v2/524288                      <- mean bytes between two samples
//!   t*: 28106: 56637512 [0: 0]        <- totals: objects: bytes [the same, ever allocated]
//!   t0: 352: 16777344 [0: 0]          <- the same per thread
//! @ 0x55d0 0x55e8 0x7f21              <- one stack of return addresses, innermost first
//!   t*: 3: 1536 [0: 0]                <- what it holds: sampled objects and their bytes
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

use watchdog_core::profile::{Mapping, Profile, StackSample};
use watchdog_core::units::{Bytes, WallTime};

use lines::{Lines, excerpt};

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

/// Reads a heap dump. Equal stacks are merged, stacks that hold nothing are left out, the result is sorted by
/// stack. Lines per thread and anonymous or data mappings are passed over; bytes of a path that are not UTF-8
/// become U+FFFD, which costs the names of that one file.
///
/// # Errors
/// [`ParseError`] with the line on which the text stops being a complete dump within `limits`.
pub fn parse(text: &[u8], taken: WallTime, limits: &ParseLimits) -> Result<Profile, ParseError> {
    let mut lines = Lines::new(text, limits.max_line);
    let period = read_header(&mut lines)?;
    let stacks = read_stacks(&mut lines, period, limits)?;
    let mappings = read_mappings(&mut lines, limits)?;
    Ok(Profile {
        taken,
        stacks: merged(stacks),
        mappings,
        sample_period: Bytes(period),
        lost_samples: 0,
    })
}

/// `heap_v2/524288`; a period of zero would mean that nothing is sampled.
fn read_header(lines: &mut Lines<'_>) -> Result<u64, ParseError> {
    let line = lines.next()?.unwrap_or_default();
    line.strip_prefix(b"heap_v2/")
        .and_then(lines::decimal)
        .filter(|period| *period > 0)
        .ok_or_else(|| lines.fault(Fault::NotHeapV2(excerpt(line))))
}

/// Everything from the header to `MAPPED_LIBRARIES:`.
fn read_stacks(
    lines: &mut Lines<'_>,
    period: u64,
    limits: &ParseLimits,
) -> Result<Vec<StackSample>, ParseError> {
    const EXPECTED: &str = "a stack `@ 0x…`, counts `t*: …` or `MAPPED_LIBRARIES:`";
    let mut stacks: Vec<StackSample> = Vec::new();
    let mut seen = 0_usize;
    let mut open: Option<Vec<u64>> = None;
    while let Some(line) = lines.next()? {
        let unexpected = |lines: &Lines<'_>| {
            lines.fault(Fault::Unexpected { expected: EXPECTED, found: excerpt(line) })
        };
        match line {
            [] => {}
            [b'@', addresses @ ..] => {
                if open.is_some() {
                    return Err(lines.fault(Fault::NoTotal));
                }
                seen += 1;
                if seen > limits.max_stacks {
                    return Err(lines.fault(Fault::TooManyStacks(limits.max_stacks)));
                }
                open = Some(read_stack(lines, addresses, limits.max_depth)?);
            }
            [b't', b'*', b':', counts @ ..] => match open.take() {
                Some(stack) => stacks.extend(read_counts(lines, counts, stack, period)?),
                // Before the first stack these are the totals of the whole dump.
                None if seen == 0 => {}
                None => return Err(unexpected(lines)),
            },
            [b't', b'0'..=b'9', ..] => {}
            b"MAPPED_LIBRARIES:" if open.is_some() => return Err(lines.fault(Fault::NoTotal)),
            b"MAPPED_LIBRARIES:" => return Ok(stacks),
            _ => return Err(unexpected(lines)),
        }
    }
    Err(lines.fault(Fault::NoMappings))
}

fn read_stack(
    lines: &Lines<'_>,
    addresses: &[u8],
    max_depth: usize,
) -> Result<Vec<u64>, ParseError> {
    let mut stack = Vec::with_capacity((addresses.len() / 15).min(max_depth));
    for word in addresses.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
        if stack.len() == max_depth {
            return Err(lines.fault(Fault::StackTooDeep(max_depth)));
        }
        let address = word.strip_prefix(b"0x").and_then(lines::hexadecimal).ok_or_else(|| {
            lines.fault(Fault::Unexpected {
                expected: "an address `0x…` of at most 64 bits",
                found: excerpt(word),
            })
        })?;
        stack.push(address);
    }
    stack.shrink_to_fit();
    Ok(stack)
}

/// ` 3: 1536 [0: 0]`: the sample it makes, or nothing for a stack that holds nothing any more.
fn read_counts(
    lines: &Lines<'_>,
    counts: &[u8],
    stack: Vec<u64>,
    period: u64,
) -> Result<Option<StackSample>, ParseError> {
    let (objects, bytes) = lines::counts(counts).ok_or_else(|| {
        lines.fault(Fault::Unexpected {
            expected: "counts `OBJECTS: BYTES [OBJECTS: BYTES]` of at most 64 bits",
            found: excerpt(counts),
        })
    })?;
    if objects > 0 && bytes == 0 {
        return Err(lines.fault(Fault::Impossible { objects, bytes }));
    }
    if bytes == 0 {
        return Ok(None);
    }
    let (inuse_objects, inuse_space) = unbiased(objects, bytes, period);
    Ok(Some(StackSample {
        stack,
        inuse_space: Bytes(inuse_space),
        inuse_objects,
        samples: objects,
        ..StackSample::default()
    }))
}

/// Objects and bytes divided by the probability that an allocation of their mean size is sampled.
/// `jeprof` leaves bytes without an object as they are, and so does this.
fn unbiased(objects: u64, bytes: u64, period: u64) -> (u64, u64) {
    if objects == 0 {
        return (0, bytes);
    }
    let ratio = bytes as f64 / objects as f64 / period as f64;
    // exp_m1 keeps its precision where 1 - exp(-ratio) would cancel to zero.
    let sampled = -(-ratio).exp_m1();
    // A float beyond u64 becomes u64::MAX: absurd counts stay absurd and cannot wrap.
    ((objects as f64 / sampled).round() as u64, (bytes as f64 / sampled).round() as u64)
}

fn merged(mut stacks: Vec<StackSample>) -> Vec<StackSample> {
    stacks.sort_unstable_by(|a, b| a.stack.cmp(&b.stack));
    stacks.dedup_by(|next, kept| {
        let same = next.stack == kept.stack;
        if same {
            kept.inuse_space = kept.inuse_space + next.inuse_space;
            kept.inuse_objects = kept.inuse_objects.saturating_add(next.inuse_objects);
            kept.samples = kept.samples.saturating_add(next.samples);
        }
        same
    });
    stacks
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

#[cfg(test)]
mod tests {
    use super::*;

    /// `AdjustSamples` of jeprof, as it is written there.
    fn jeprof(n: f64, s: f64, period: f64) -> (f64, f64) {
        let ratio = (s / n) / period;
        let scale_factor = 1.0 / (1.0 - (-ratio).exp());
        (n * scale_factor, s * scale_factor)
    }

    #[test]
    fn the_correction_for_sampling_is_jeprofs() {
        for (objects, bytes) in [(1, 512), (3, 1536), (7, 7 << 20), (1000, 600_000_000), (1, 8)] {
            let (n, s) = jeprof(objects as f64, bytes as f64, 524_288.0);
            let (inuse_objects, inuse_space) = unbiased(objects, bytes, 524_288);
            assert!((inuse_objects as f64 - n).abs() <= 0.5 + n * 1e-9, "{objects} {bytes}");
            assert!((inuse_space as f64 - s).abs() <= 0.5 + s * 1e-9, "{objects} {bytes}");
        }
    }

    #[test]
    fn one_sampled_small_object_stands_for_a_whole_period() {
        // 1 / (1 - exp(-512/524288)) = 1024.5, so 1,025 objects (rounded) and 524,544 bytes.
        assert_eq!(unbiased(1, 512, 524_288), (1025, 524_544));
    }

    #[test]
    fn objects_much_larger_than_the_period_are_not_corrected() {
        assert_eq!(unbiased(4, 4 << 30, 524_288), (4, 4 << 30));
    }

    #[test]
    fn absurd_counts_end_at_the_largest_number() {
        assert_eq!(unbiased(u64::MAX, u64::MAX, 524_288), (u64::MAX, u64::MAX));
        assert_eq!(unbiased(0, 7, 524_288), (0, 7));
    }
}
