//! pprof's protobuf, and telling formats apart: whatever the bytes are, they are read within the limits, and what was
//! read can be written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchdog_core::units::WallTime;
use watchdog_heap::format::{self, Limits};
use watchdog_heap::pprof::{ReadLimits, read, write};

fuzz_target!(|bytes: &[u8]| {
    let pprof = ReadLimits { max_bytes: 1 << 20, max_text: 4 << 20, ..ReadLimits::default() };
    let _ = format::read(bytes, WallTime(0.0), &Limits { pprof, ..Limits::default() });
    let Ok(profile) = read(bytes, &pprof) else { return };
    let mut written = Vec::new();
    write(&profile.profile, &profile.symbols, &mut written).expect("a vector takes everything");
    let again = read(&written, &ReadLimits::default()).expect("our own profile");
    assert_eq!(again.profile.inuse_space(), profile.profile.inuse_space());
});
