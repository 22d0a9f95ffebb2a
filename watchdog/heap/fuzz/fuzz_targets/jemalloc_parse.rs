//! jemalloc's text: whatever the bytes are, they are read within the limits, and what was read can be written and
//! read again with the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchdog_core::units::WallTime;
use watchdog_heap::jemalloc::{ParseLimits, parse, write};

/// A float has 53 bits; larger figures are rounded.
const EXACT: u64 = 1 << 50;

fuzz_target!(|text: &[u8]| {
    let limits = ParseLimits { max_stacks: 1000, ..ParseLimits::default() };
    let Ok(profile) = parse(text, WallTime(0.0), &limits) else { return };
    let mut written = Vec::new();
    write(&profile, &mut written).expect("a profile that was read has mappings");
    let again = parse(&written, WallTime(0.0), &ParseLimits::default()).expect("our own text");
    for (was, is) in profile.stacks.iter().zip(&again.stacks) {
        if was.inuse_space.0 < EXACT && was.samples < EXACT && profile.sample_period.0 < EXACT {
            assert_eq!((is.inuse_space, &is.stack), (was.inuse_space, &was.stack));
        }
    }
});
