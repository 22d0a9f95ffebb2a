//! Writes jemalloc's own text, which `jeprof` and this crate read.

use std::io::{self, Write};

use watchdog_core::profile::{Mapping, Profile, StackSample};

use super::lines::Counts;
use super::sampling::{biased, sampled_objects};

/// Writes `heap_v2` text. The counts are chosen so that a reader's correction for sampling gives back the bytes in
/// use and ever allocated exactly, and the objects as nearly as counts can say it. Labels, build ids and names have
/// no place in this format.
///
/// A profile without a sample period is written with one of a byte, which means that nothing needs correcting.
///
/// # Errors
/// What `out` says, and `InvalidInput` for a profile without mappings: readers take such a text for one that was
/// cut short, and nothing in it could be named.
pub fn write(profile: &Profile, out: &mut impl Write) -> io::Result<()> {
    if profile.mappings.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "jemalloc's text needs the mappings of the process, which this profile does not have; write pprof instead",
        ));
    }
    let period = profile.sample_period.0.max(1);
    let mut text = Vec::with_capacity(4096);
    let all: Vec<_> = profile.stacks.iter().map(|sample| counts(sample, period)).collect();
    let (in_use, ever) = totals(&all);
    writeln!(text, "heap_v2/{period}")?;
    write_counts(&mut text, in_use, ever)?;
    for (sample, (in_use, ever)) in profile.stacks.iter().zip(all) {
        text.push(b'@');
        for address in &sample.stack {
            text.extend_from_slice(b" 0x");
            push_hexadecimal(&mut text, *address);
        }
        text.push(b'\n');
        write_counts(&mut text, in_use, ever)?;
        out.write_all(&text)?;
        text.clear();
    }
    text.extend_from_slice(b"\nMAPPED_LIBRARIES:\n");
    out.write_all(&text)?;
    profile.mappings.iter().try_for_each(|mapping| write_mapping(out, mapping))
}

fn counts(sample: &StackSample, period: u64) -> (Counts, Counts) {
    let (space, objects) = (sample.inuse_space.0, sample.inuse_objects);
    let samples = match sample.samples {
        0 => sampled_objects(space, objects, period),
        samples => samples,
    };
    let ever = sample.alloc_space.0;
    let ever_samples = sampled_objects(ever, sample.alloc_objects, period);
    (
        biased(space, objects, samples, period),
        biased(ever, sample.alloc_objects, ever_samples, period),
    )
}

fn totals(all: &[(Counts, Counts)]) -> (Counts, Counts) {
    let add = |sum: Counts, one: &Counts| Counts {
        objects: sum.objects.saturating_add(one.objects),
        bytes: sum.bytes.saturating_add(one.bytes),
    };
    all.iter().fold((Counts::default(), Counts::default()), |(in_use, ever), (one, one_ever)| {
        (add(in_use, one), add(ever, one_ever))
    })
}

fn write_counts(text: &mut Vec<u8>, in_use: Counts, ever: Counts) -> io::Result<()> {
    let (objects, bytes) = (in_use.objects, in_use.bytes);
    writeln!(text, "  t*: {objects}: {bytes} [{}: {}]", ever.objects, ever.bytes)
}

/// As `/proc/PID/maps` has it. Device and inode are not known and not used by readers. A line's end inside a path
/// would end the line, so it becomes a space.
fn write_mapping(out: &mut impl Write, mapping: &Mapping) -> io::Result<()> {
    let Mapping { start, end, file_offset, path, .. } = mapping;
    let path = path.replace(['\n', '\r'], " ");
    writeln!(out, "{start:x}-{end:x} r-xp {file_offset:08x} 00:00 0    {path}")
}

/// Without the formatting machinery, which would take most of the time of writing.
fn push_hexadecimal(text: &mut Vec<u8>, value: u64) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = (64 - value.leading_zeros()).div_ceil(4).max(1);
    text.extend((0..digits).rev().map(|place| DIGITS[(value >> (4 * place)) as usize & 15]));
}
