//! The stacks of a heap dump and what each holds.

use watchdog_core::profile::StackSample;
use watchdog_core::units::Bytes;

use super::lines::{self, Counts, Lines, NotAStack, excerpt};
use super::sampling::unbiased;
use super::{Fault, ParseError, ParseLimits};
use crate::addresses::StackIndex;

/// Everything from the header to `MAPPED_LIBRARIES:`.
pub(super) fn read(
    lines: &mut Lines<'_>,
    period: u64,
    limits: &ParseLimits,
) -> Result<Vec<StackSample>, ParseError> {
    let mut merged = Merged::default();
    let mut seen = 0_usize;
    // The addresses of the stack that waits for its counts, in a buffer that every stack uses.
    let mut stack = Vec::new();
    let mut waits = false;
    let unexpected = |lines: &Lines<'_>, line: &[u8]| {
        let expected = "a stack `@ 0x…`, counts `t…: …` or `MAPPED_LIBRARIES:`";
        lines.fault(Fault::Unexpected { expected, found: excerpt(line) })
    };
    while let Some(line) = lines.next()? {
        match line {
            [] => {}
            [b'@', addresses @ ..] => {
                if waits {
                    return Err(lines.fault(Fault::NoTotal));
                }
                seen += 1;
                if seen > limits.max_stacks {
                    return Err(lines.fault(Fault::TooManyStacks(limits.max_stacks)));
                }
                read_stack(lines, addresses, limits.max_depth, &mut stack)?;
                waits = true;
            }
            [b't', b'*', b':', counts @ ..] if waits => {
                let (in_use, ever) = read_counts(lines, counts)?;
                merged.add(&stack, in_use, ever, period);
                waits = false;
            }
            // Before the first stack these are the totals of the whole dump.
            [b't', b'*', b':', ..] if seen == 0 => {}
            [b't', b'0'..=b'9', ..] => {}
            b"MAPPED_LIBRARIES:" if waits => return Err(lines.fault(Fault::NoTotal)),
            b"MAPPED_LIBRARIES:" => return Ok(merged.samples),
            _ => return Err(unexpected(lines, line)),
        }
    }
    Err(lines.fault(Fault::NoMappings))
}

fn read_stack(
    lines: &Lines<'_>,
    addresses: &[u8],
    max_depth: usize,
    stack: &mut Vec<u64>,
) -> Result<(), ParseError> {
    lines::stack(addresses, max_depth, stack).map_err(|why| match why {
        NotAStack::TooDeep => lines.fault(Fault::StackTooDeep(max_depth)),
        NotAStack::NotAnAddress(word) => lines.fault(Fault::Unexpected {
            expected: "an address `0x…` of at most 64 bits",
            found: excerpt(word),
        }),
    })
}

/// ` 3: 1536 [4: 2048]`: what is in use, and what was ever allocated.
fn read_counts(lines: &Lines<'_>, text: &[u8]) -> Result<(Counts, Counts), ParseError> {
    let (in_use, ever) = lines::counts(text).ok_or_else(|| {
        lines.fault(Fault::Unexpected {
            expected: "counts `OBJECTS: BYTES [OBJECTS: BYTES]` of at most 64 bits",
            found: excerpt(text),
        })
    })?;
    for Counts { objects, bytes } in [in_use, ever] {
        if objects > 0 && bytes == 0 {
            return Err(lines.fault(Fault::Impossible { objects, bytes }));
        }
    }
    Ok((in_use, ever))
}

/// Samples with distinct stacks.
#[derive(Default)]
struct Merged {
    samples: Vec<StackSample>,
    index: StackIndex,
}

impl Merged {
    fn add(&mut self, stack: &[u64], in_use: Counts, ever: Counts, period: u64) {
        if in_use.bytes == 0 && ever.bytes == 0 {
            return;
        }
        // The limit on stacks may be raised beyond 32 bits, the memory for them not.
        let Ok(next) = u32::try_from(self.samples.len()) else { return };
        let samples = &self.samples;
        let known = self.index.find_or_enter(stack, next, |at| {
            samples.get(at as usize).map(|sample| sample.stack.as_slice())
        });
        let (inuse_objects, inuse_space) = unbiased(in_use, period);
        let (alloc_objects, alloc_space) = unbiased(ever, period);
        match known.and_then(|at| self.samples.get_mut(at as usize)) {
            Some(kept) => {
                kept.inuse_space = kept.inuse_space + Bytes(inuse_space);
                kept.inuse_objects = kept.inuse_objects.saturating_add(inuse_objects);
                kept.alloc_space = kept.alloc_space + Bytes(alloc_space);
                kept.alloc_objects = kept.alloc_objects.saturating_add(alloc_objects);
                kept.samples = kept.samples.saturating_add(in_use.objects);
            }
            None => self.samples.push(StackSample {
                stack: stack.to_vec(),
                inuse_space: Bytes(inuse_space),
                inuse_objects,
                alloc_space: Bytes(alloc_space),
                alloc_objects,
                samples: in_use.objects,
                ..StackSample::default()
            }),
        }
    }
}
