//! Everything that is made of profiles, on two profiles from the halves of the input.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchdog_core::units::WallTime;
use watchdog_heap::difference::Difference;
use watchdog_heap::format::{Limits, read};
use watchdog_heap::pprof::{self, ReadLimits};
use watchdog_heap::{collapsed, flamegraph, top};

/// A picture has at most about this many bytes.
const PICTURE: usize = 2 << 20;

fuzz_target!(|input: (Vec<u8>, Vec<u8>)| {
    let small = ReadLimits { max_bytes: 1 << 20, max_text: 4 << 20, ..ReadLimits::default() };
    let limits = Limits { pprof: small, ..Limits::default() };
    let [before, after] = [&input.0, &input.1].map(|bytes| read(bytes, WallTime(0.0), &limits));
    // One half that reads is worth its time too.
    let after = after.or(before.clone());
    let Ok(after) = after else { return };
    let before = before.unwrap_or_default();
    let difference = Difference::between(&before.profile, &after.profile);
    let (named, symbols) =
        Difference::between_named(&before.profile, &before.symbols, &after.profile, &after.symbols);
    pprof::write_difference(&difference, &symbols, std::io::sink())
        .expect("a sink takes everything");
    let mut svg = Vec::new();
    let _ = flamegraph::svg(&after.profile, &after.symbols, "fuzz", &mut svg);
    let _ = flamegraph::difference_svg(&named, &symbols, "fuzz", &mut svg);
    assert!(svg.len() < 2 * PICTURE, "{}", svg.len());
    collapsed::write(&after.profile, &after.symbols, &mut std::io::sink()).expect("a sink");
    let rows = top::rows(&after.profile, &after.symbols, 10);
    let changed = top::difference_rows(&named, &symbols, 10);
    assert!(top::text(&rows).len() + top::difference_text(&changed).len() > 0);
});
