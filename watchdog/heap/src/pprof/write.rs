//! Writes pprof's format: compressed while it is made, so that the memory it takes grows with the distinct
//! addresses and texts, not with the stacks.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use watchdog_core::profile::{Label, LabelValue, Mapping, Profile};
use watchdog_core::units::{Bytes, WallTime};

use super::VALUE_TYPES;
use super::tables::{Locations, Names, Strings};
use super::wire::Message;
use crate::difference::Difference;
use crate::symbols::Symbols;

/// Field numbers of `Profile`.
const SAMPLE_TYPE: u64 = 1;
const SAMPLE: u64 = 2;
const DROP_FRAMES: u64 = 7;
const TIME_NANOS: u64 = 9;
const DURATION_NANOS: u64 = 10;
const PERIOD_TYPE: u64 = 11;
const PERIOD: u64 = 12;
const COMMENT: u64 = 13;
const DEFAULT_SAMPLE_TYPE: u64 = 14;

/// Bytes that are put together before they are compressed.
const CHUNK: usize = 64 << 10;

/// Writes a profile, gzip-compressed. Types of values are those of Go's heap profiles; `alloc_*` only when any is
/// known. The allocator's own frames stay in, marked for readers to leave out.
///
/// # Errors
/// What `out` says.
pub fn write(profile: &Profile, symbols: &Symbols, out: impl Write) -> io::Result<()> {
    write_with_comments(profile, symbols, &[], out)
}

/// As [`write()`], with comments for readers (`go tool pprof -comments`) in front of those about what is missing.
///
/// # Errors
/// What `out` says.
pub fn write_with_comments(
    profile: &Profile,
    symbols: &Symbols,
    comments: &[String],
    out: impl Write,
) -> io::Result<()> {
    let whole = Whole {
        symbols,
        mappings: &profile.mappings,
        sample_period: profile.sample_period,
        begin: profile.taken,
        seconds: 0.0,
        counts_ever: profile.stacks.iter().any(|sample| sample.alloc_space.0 > 0),
        lost_samples: profile.lost_samples,
        comments,
    };
    let mut encoder = Encoder::start(&whole, out)?;
    for sample in &profile.stacks {
        if sample.labelled.is_empty() {
            let values = [
                sample.alloc_objects,
                sample.alloc_space.0,
                sample.inuse_objects,
                sample.inuse_space.0,
            ];
            encoder.sample(&sample.stack, values.map(signed), &[])?;
        }
        for part in &sample.labelled {
            let values =
                [part.alloc_objects, part.alloc_space.0, part.inuse_objects, part.inuse_space.0];
            encoder.sample(&sample.stack, values.map(signed), &part.labels)?;
        }
    }
    encoder.finish(&whole)
}

/// Writes the difference of two profiles; what shrank has negative values, as with `go tool pprof -diff_base`.
///
/// # Errors
/// What `out` says.
pub fn write_difference(
    difference: &Difference,
    symbols: &Symbols,
    out: impl Write,
) -> io::Result<()> {
    let seconds = difference.after.0 - difference.before.0;
    let comment = format!("difference of two profiles taken {seconds:.3} seconds apart");
    let whole = Whole {
        symbols,
        mappings: &difference.mappings,
        sample_period: difference.sample_period,
        begin: difference.before,
        seconds,
        counts_ever: difference.stacks.iter().any(|row| row.alloc_space != 0),
        lost_samples: 0,
        comments: &[comment],
    };
    let mut encoder = Encoder::start(&whole, out)?;
    for row in &difference.stacks {
        let values = [row.alloc_objects, row.alloc_space, row.inuse_objects, row.inuse_space];
        encoder.sample(&row.stack, values, &[])?;
    }
    encoder.finish(&whole)
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Everything of a profile but its samples.
struct Whole<'a> {
    symbols: &'a Symbols,
    mappings: &'a [Mapping],
    sample_period: Bytes,
    begin: WallTime,
    seconds: f64,
    counts_ever: bool,
    lost_samples: u64,
    comments: &'a [String],
}

struct Encoder<W: Write> {
    out: GzEncoder<W>,
    /// What is not compressed yet.
    pending: Message,
    strings: Strings,
    locations: Locations,
    sample: Message,
    packed: Message,
    /// Values that are left out at the front: the types of what was ever allocated, where nothing counts it.
    skipped_values: usize,
}

impl<W: Write> Encoder<W> {
    fn start(whole: &Whole<'_>, out: W) -> io::Result<Self> {
        let mut encoder = Self {
            // The fastest level that compresses: profiles are written while people wait, and the next level takes
            // twice as long for a few percent.
            out: GzEncoder::new(out, Compression::fast()),
            pending: Message::default(),
            strings: Strings::default(),
            locations: Locations::default(),
            sample: Message::default(),
            packed: Message::default(),
            skipped_values: if whole.counts_ever { 0 } else { 2 },
        };
        // Index zero is the empty text.
        encoder.strings.index("", &mut encoder.pending);
        for (name, unit) in VALUE_TYPES.into_iter().skip(encoder.skipped_values) {
            encoder.value_type(SAMPLE_TYPE, name, unit);
        }
        encoder.value_type(PERIOD_TYPE, "space", "bytes");
        Ok(encoder)
    }

    fn value_type(&mut self, field: u64, name: &str, unit: &str) {
        let name = self.strings.index(name, &mut self.pending);
        let unit = self.strings.index(unit, &mut self.pending);
        self.packed.clear();
        self.packed.number(1, name);
        self.packed.number(2, unit);
        self.pending.length_delimited(field, &self.packed.bytes);
    }

    fn sample(&mut self, stack: &[u64], values: [i64; 4], labels: &[Label]) -> io::Result<()> {
        self.sample.clear();
        self.packed.clear();
        for address in stack {
            let id = self.locations.id(*address);
            self.packed.raw(id);
        }
        self.sample.length_delimited(1, &self.packed.bytes);
        self.packed.clear();
        for value in values.into_iter().skip(self.skipped_values) {
            self.packed.raw(value as u64);
        }
        self.sample.length_delimited(2, &self.packed.bytes);
        labels.iter().for_each(|label| self.label(label));
        self.pending.length_delimited(SAMPLE, &self.sample.bytes);
        self.compress(CHUNK)
    }

    fn label(&mut self, label: &Label) {
        let key = self.strings.index(&label.key, &mut self.pending);
        self.packed.clear();
        self.packed.number(1, key);
        match &label.value {
            LabelValue::Text(text) => {
                let text = self.strings.index(text, &mut self.pending);
                self.packed.number(2, text);
            }
            LabelValue::Number { value, unit } => {
                let unit = self.strings.index(unit, &mut self.pending);
                self.packed.signed(3, *value);
                self.packed.number(4, unit);
            }
        }
        self.sample.length_delimited(3, &self.packed.bytes);
    }

    fn finish(mut self, whole: &Whole<'_>) -> io::Result<()> {
        let mut names = Names::new(whole.symbols, whole.mappings);
        let locations = std::mem::take(&mut self.locations);
        for (id, address) in (1..).zip(locations.addresses()) {
            names.location(id, *address, &mut self.strings, &mut self.pending);
            self.compress(CHUNK)?;
        }
        names.write_mappings(&mut self.strings, &mut self.pending);
        let drop_frames = names.drop_frames();
        self.text(DROP_FRAMES, &drop_frames);
        self.pending.signed(TIME_NANOS, nanoseconds(whole.begin.0));
        self.pending.signed(DURATION_NANOS, nanoseconds(whole.seconds));
        self.pending.number(PERIOD, whole.sample_period.0);
        self.text(DEFAULT_SAMPLE_TYPE, "inuse_space");
        for comment in whole.comments {
            self.text(COMMENT, comment);
        }
        for comment in missing(whole, &names) {
            self.text(COMMENT, &comment);
        }
        self.compress(0)?;
        self.out.finish()?.flush()
    }

    /// A field that refers to a text.
    fn text(&mut self, field: u64, text: &str) {
        let index = self.strings.index(text, &mut self.pending);
        self.pending.number(field, index);
    }

    /// Passes on what is pending when it is more than `from` bytes.
    fn compress(&mut self, from: usize) -> io::Result<()> {
        if self.pending.bytes.len() > from {
            self.out.write_all(&self.pending.bytes)?;
            self.pending.clear();
        }
        Ok(())
    }
}

/// Comments about what a reader would look for in vain.
fn missing(whole: &Whole<'_>, names: &Names<'_>) -> Vec<String> {
    let mut comments = Vec::new();
    if whole.lost_samples > 0 {
        comments.push(format!(
            "{} sampled allocations could not be recorded and are missing",
            whole.lost_samples
        ));
    }
    comments.extend(names.without_names().map(|(path, addresses)| {
        format!("no names for {addresses} addresses in {path}: it is stripped or could not be read")
    }));
    comments
}

/// To the microsecond, which is what a float of today's date can tell apart. What does not fit becomes the largest
/// number there is.
fn nanoseconds(seconds: f64) -> i64 {
    ((seconds * 1e6).round() as i64).saturating_mul(1000)
}
