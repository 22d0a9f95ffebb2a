//! Any bytes as a program's file: names of its places, in bounded time and memory.
//!
//! Start from a real one, or the magic is never met: `gcc -g -O1 -o corpus/symbolize/small small.c`.

#![no_main]

use std::fs;

use libfuzzer_sys::fuzz_target;
use watchdog_core::profile::Mapping;
use watchdog_heap::symbolize::Symbolizer;

fuzz_target!(|bytes: &[u8]| {
    let path = std::env::temp_dir().join(format!("oomen-fuzz-symbolize-{}", std::process::id()));
    fs::write(&path, bytes).expect("written");
    let mapping = Mapping {
        start: 0,
        end: 1 << 20,
        file_offset: 0,
        path: path.to_string_lossy().into_owned(),
        build_id: None,
    };
    let offline = Symbolizer::offline(None, Vec::new());
    let addresses = (1..1 << 16).step_by(97);
    assert_eq!(offline.symbols(&[mapping], addresses.clone()).len(), addresses.count());
    fs::remove_file(&path).expect("removed");
});
