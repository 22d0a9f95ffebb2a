//! The lines of /proc/PID/maps at the end of jemalloc's text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchdog_core::units::WallTime;
use watchdog_heap::jemalloc::{ParseLimits, parse};

fuzz_target!(|lines: &[u8]| {
    let mut text = b"heap_v2/524288\n@ 0x1001\n  t*: 1: 512 [0: 0]\nMAPPED_LIBRARIES:\n".to_vec();
    text.extend_from_slice(lines);
    let Ok(profile) = parse(&text, WallTime(0.0), &ParseLimits::default()) else { return };
    assert!(profile.mappings.iter().all(|mapping| mapping.start < mapping.end));
    assert!(profile.mappings.is_sorted_by_key(|mapping| mapping.start));
});
